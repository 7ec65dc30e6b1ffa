"""Points of images as JSON files."""

from pathlib import Path

import pytest

from sam2lora.annotations.points import PointAnnotation, read_point, save_point
from sam2lora.errors import ImageError

FOVEA = PointAnnotation(target="fovea", x=12.25, y=3, confidence=0.75)


def test_point_is_read_as_it_was_saved(tmp_path: Path) -> None:
    save_point(tmp_path / "a_fovea.json", FOVEA)
    assert read_point(tmp_path / "a_fovea.json") == FOVEA


def test_point_by_hand_is_certain(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"target": "fovea", "x": 1, "y": 2}')
    assert read_point(tmp_path / "a.json").confidence == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"target": "fovea", "x": 1}', r"a\.json: is not a point \(y: "),
        ('{"target": "fovea", "x": NaN, "y": 2}', r"a\.json"),
        ("[1, 2]", r"a\.json"),
        ("point", r"a\.json"),
    ],
)
def test_what_is_no_point_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ImageError, match=message):
        read_point(tmp_path / "a.json")
