"""Finding files by name, ignoring case, with each folder listed once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sam2lora.datasets.folders import Folders, mask_path_pattern
from sam2lora.errors import DatasetError

Put = Callable[[str, Any], Path]


def test_case_is_ignored_but_an_exact_match_wins(put: Put, tmp_path: Path) -> None:
    upper = put("Masks/A.PNG", "x")
    assert Folders().find(tmp_path, "masks/a.png") == upper
    assert Folders().find(tmp_path, "masks/b.png") is None
    assert Folders().find(tmp_path, "Masks/A.PNG/c.png") is None
    if (tmp_path / "masks").exists():
        pytest.skip("this file system ignores case")
    lower = put("Masks/a.png", "x")
    assert Folders().find(tmp_path, "Masks/a.png") == lower
    assert Folders().find(tmp_path, "Masks/A.PNG") == upper


def test_wildcard_extension_matches_images_only(put: Put, tmp_path: Path) -> None:
    put("a.txt", "x")
    put("a.b.png", "x")
    assert Folders().find(tmp_path, "a.*") is None
    image = put("a.TIF", "x")
    assert Folders().find(tmp_path, "a.*") == image


def test_walk_yields_the_groups_of_every_part(put: Put, tmp_path: Path) -> None:
    paths = [put("TRAIN/images/7.jpg", "x"), put("test/images/8.JPG", "x")]
    put("test/images/.9.jpg", "x")
    put("val/images/9.jpg", "x")
    found = Folders().walk(tmp_path, r"(?P<split>train|test)/images/(?P<id>\d+)\.jpg")
    assert list(found) == [
        (paths[0], {"split": "TRAIN", "id": "7"}),
        (paths[1], {"split": "test", "id": "8"}),
    ]


def test_folder_is_listed_once(put: Put, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put("a.png", "x")
    folders = Folders()
    assert folders.names(tmp_path) == ["a.png"]
    monkeypatch.delattr(Path, "iterdir")
    assert folders.find(tmp_path, "a.png") == tmp_path / "a.png"


def test_error_names_a_folder_that_cannot_be_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DatasetError, match=r"cannot be listed \(Permission denied\)"):
        Folders().names(tmp_path)


@pytest.mark.parametrize(
    ("path", "name", "fits"),
    [
        ("{id}_{target}.*", "a_disc.png", True),
        ("{id}_{target}.*", "a_iris.png", False),
        ("{id}_{target}.*", "a_disc.txt", False),
        ("{id}_1stHO.png", "Image_01L_1stHO.png", True),
        ("{id}_1stHO.png", "Image_01L_1stHOxpng", False),
    ],
)
def test_mask_path_pattern_matches_file_names(
    put: Put, tmp_path: Path, path: str, name: str, fits: bool
) -> None:
    put(name, "x")
    assert any(Folders().walk(tmp_path, mask_path_pattern(path, ["disc", "cup"]))) is fits
