"""Which images are judged, and what is refused before anything is done."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.errors import DatasetError, TargetError
from sam2lora.evaluation import EvaluateSettings, plan_parts

from .conftest import INSIDE, make_case, save, square

SPOTS = EvaluateSettings(target="spot")
ALL = EvaluateSettings(target="spot", split="all")


@pytest.fixture
def halves(tmp_path: Path, spot) -> Path:
    """Give a set with two images in train/ and three in test/, of which one has no mask."""
    root = tmp_path / "halves"
    for side, names in {"train": "ab", "test": "cde"}.items():
        for name in names:
            case = make_case(name)
            save(root / side / "images" / f"{name}.png", case.pixels)
            if name != "e":
                save(root / side / "masks" / "spot" / f"{name}.png", case.reference)
    return root


@pytest.mark.parametrize(
    ("split", "used", "stems", "without"),
    [
        ("auto", "test", ["test_c", "test_d"], 1),
        ("test", "test", ["test_c", "test_d"], 1),
        ("train", "train", ["train_a", "train_b"], 0),
        ("all", "all", ["test_c", "test_d", "train_a", "train_b"], 1),
    ],
)
def test_a_side_of_the_split_is_taken_and_images_without_a_mask_are_counted(
    halves: Path, split: str, used: str, stems: list[str], without: int
) -> None:
    (part,) = plan_parts([halves], EvaluateSettings(target="spot", split=split))
    assert part.split == used
    assert [record.stem for record in part.records] == stems
    assert part.without_mask == without


def test_filters_choose_by_stem_on_the_side_that_is_judged(halves: Path) -> None:
    settings = {"target": "spot", "split": "test"}
    (part,) = plan_parts([halves], EvaluateSettings(**settings, include="_[ce]$"))
    assert [record.stem for record in part.records] == ["test_c"]
    assert part.without_mask == 1
    (part,) = plan_parts([halves], EvaluateSettings(**settings, exclude="_[ce]$"))
    assert [record.stem for record in part.records] == ["test_d"]
    with pytest.raises(DatasetError, match=r"halves: none of its 3 images.*'_a'"):
        plan_parts([halves], EvaluateSettings(**settings, include="_a"))


def test_without_a_split_auto_takes_all(write_set, spot) -> None:
    root = write_set("own", {"a": make_case("a"), "b": make_case("b")})
    (part,) = plan_parts([root], SPOTS)
    assert (part.split, len(part.records)) == ("all", 2)


def test_a_split_that_is_not_there_is_refused(halves: Path, write_set) -> None:
    with pytest.raises(DatasetError, match=r"'val'\. There are: test, train\. `--split all`"):
        plan_parts([halves], EvaluateSettings(target="spot", split="val"))
    root = write_set("own", {"a": make_case("a")})
    with pytest.raises(DatasetError, match=r"own: .*There is no official split"):
        plan_parts([root], EvaluateSettings(target="spot", split="test"))


def test_a_target_the_set_has_not_is_refused_with_those_it_has(halves: Path, tmp_path) -> None:
    with pytest.raises(DatasetError, match="of disc"):
        plan_parts([halves], EvaluateSettings(target="disc"))
    with pytest.raises(TargetError, match="nonsense"):
        plan_parts([halves], EvaluateSettings(target="nonsense"))
    with pytest.raises(DatasetError, match="there is no such folder"):
        plan_parts([tmp_path / "nothing"], SPOTS)


def test_a_side_without_any_mask_is_refused(halves: Path) -> None:
    for mask in (halves / "test" / "masks" / "spot").iterdir():
        mask.unlink()
    with pytest.raises(DatasetError, match="none of the 3 images of its split 'test' has a mask"):
        plan_parts([halves], SPOTS)


def test_a_mask_of_another_size_is_refused(write_set, spot) -> None:
    root = write_set("own", {"a": make_case("a")})
    save(root / "masks" / "spot" / "a.png", square(1, 1, 3, size=32))
    with pytest.raises(DatasetError, match="is 32 × 32, but its image"):
        plan_parts([root], ALL)


def test_two_sets_of_one_name_are_refused(write_set, spot, tmp_path: Path) -> None:
    first = write_set("first/eyes", {"a": make_case("a")})
    second = write_set("second/eyes", {"a": make_case("a")})
    with pytest.raises(DatasetError, match="both called 'eyes'"):
        plan_parts([first, second], SPOTS)
    assert len(plan_parts([first, write_set("others", {"a": make_case("a")})], SPOTS)) == 2


def test_the_union_of_graders_needs_one_at_least(write_chase) -> None:
    root = write_chase({"Image_01L": (INSIDE,), "Image_01R": (INSIDE, np.zeros_like(INSIDE))})
    (part,) = plan_parts([root], EvaluateSettings(target="vessel", protocol="paper"))
    assert len(part.records) == 2
