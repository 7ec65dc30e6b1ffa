"""Which images are scored, and what is refused before any computation."""

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
    """Write a dataset with two images in train/ and three in test/, one of them without a mask."""
    root = tmp_path / "halves"
    for split, names in {"train": "ab", "test": "cde"}.items():
        for name in names:
            case = make_case(name)
            save(root / split / "images" / f"{name}.png", case.pixels)
            if name != "e":
                save(root / split / "masks" / "spot" / f"{name}.png", case.reference)
    return root


@pytest.mark.parametrize(
    ("split", "used", "stems", "without_mask"),
    [
        ("auto", "test", ["test_c", "test_d"], 1),
        ("test", "test", ["test_c", "test_d"], 1),
        ("train", "train", ["train_a", "train_b"], 0),
        ("all", "all", ["test_c", "test_d", "train_a", "train_b"], 1),
    ],
)
def test_split_is_selected_and_images_without_mask_are_counted(
    halves: Path, split: str, used: str, stems: list[str], without_mask: int
) -> None:
    (part,) = plan_parts([halves], EvaluateSettings(target="spot", split=split))
    assert part.split == used
    assert [record.stem for record in part.records] == stems
    assert part.without_mask == without_mask


def test_filters_select_by_stem_within_the_split(halves: Path) -> None:
    settings = {"target": "spot", "split": "test"}
    (part,) = plan_parts([halves], EvaluateSettings(**settings, include="_[ce]$"))
    assert [record.stem for record in part.records] == ["test_c"]
    assert part.without_mask == 1
    (part,) = plan_parts([halves], EvaluateSettings(**settings, exclude="_[ce]$"))
    assert [record.stem for record in part.records] == ["test_d"]
    with pytest.raises(DatasetError, match=r"halves: none of its 3 images.*'_a'"):
        plan_parts([halves], EvaluateSettings(**settings, include="_a"))


def test_auto_uses_all_images_without_a_split(write_set, spot) -> None:
    root = write_set("mine", {"a": make_case("a"), "b": make_case("b")})
    (part,) = plan_parts([root], SPOTS)
    assert (part.split, len(part.records)) == ("all", 2)


def test_missing_split_is_refused(halves: Path, write_set) -> None:
    with pytest.raises(DatasetError, match=r"'val'\. There are: test, train\. `--split all`"):
        plan_parts([halves], EvaluateSettings(target="spot", split="val"))
    root = write_set("mine", {"a": make_case("a")})
    with pytest.raises(DatasetError, match=r"mine: .*There is no official split"):
        plan_parts([root], EvaluateSettings(target="spot", split="test"))


def test_missing_target_is_refused(halves: Path, tmp_path) -> None:
    with pytest.raises(DatasetError, match="of disc"):
        plan_parts([halves], EvaluateSettings(target="disc"))
    with pytest.raises(TargetError, match="nonsense"):
        plan_parts([halves], EvaluateSettings(target="nonsense"))
    with pytest.raises(DatasetError, match="there is no such folder"):
        plan_parts([tmp_path / "nothing"], SPOTS)


def test_split_without_any_mask_is_refused(halves: Path) -> None:
    for mask in (halves / "test" / "masks" / "spot").iterdir():
        mask.unlink()
    with pytest.raises(DatasetError, match="none of the 3 images in its split 'test' has a mask"):
        plan_parts([halves], SPOTS)


def test_mask_of_wrong_size_is_refused(write_set, spot) -> None:
    root = write_set("mine", {"a": make_case("a")})
    save(root / "masks" / "spot" / "a.png", square(1, 1, 3, size=32))
    with pytest.raises(DatasetError, match="is 32 × 32, but its image"):
        plan_parts([root], ALL)


def test_two_datasets_with_one_name_are_refused(write_set, spot, tmp_path: Path) -> None:
    first = write_set("first/eyes", {"a": make_case("a")})
    second = write_set("second/eyes", {"a": make_case("a")})
    with pytest.raises(DatasetError, match="both called 'eyes'"):
        plan_parts([first, second], SPOTS)
    assert len(plan_parts([first, write_set("others", {"a": make_case("a")})], SPOTS)) == 2


def test_union_of_graders_needs_at_least_one(write_chase) -> None:
    root = write_chase({"Image_01L": (INSIDE,), "Image_01R": (INSIDE, np.zeros_like(INSIDE))})
    (part,) = plan_parts([root], EvaluateSettings(target="vessel", protocol="paper"))
    assert len(part.records) == 2


def test_masks_that_seem_inverted_are_reported(halves: Path) -> None:
    case = make_case("c")
    save(halves / "test" / "masks" / "spot" / "c.png", ~case.reference)
    (part,) = plan_parts([halves], SPOTS)
    assert [problem.path.name for problem in part.suspicious] == ["c.png"]


def test_label_map_is_refused_unless_its_labels_are_named(halves: Path) -> None:
    case = make_case("c")
    save(halves / "test" / "masks" / "spot" / "c.png", case.reference.astype(np.uint8) * 2)
    with pytest.raises(DatasetError, match=r"c\.png: is a label map"):
        plan_parts([halves], SPOTS)
    (part,) = plan_parts([halves], SPOTS, labels={"spot": (2,)})
    np.testing.assert_array_equal(part.records[0].read_mask("spot"), case.reference)


def test_two_masks_of_one_name_are_refused(halves: Path) -> None:
    save(halves / "test" / "masks" / "spot" / "c.tif", make_case("c").reference)
    with pytest.raises(DatasetError, match=r"c\.png.*c\.tif|c\.tif.*c\.png"):
        plan_parts([halves], SPOTS)


def test_ellipses_in_several_datasets_are_as_many_parts(halves: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    save(other / "images" / "z.png", make_case("z").pixels)
    save(other / "masks" / "spot" / "z.png", make_case("z").reference)
    table = tmp_path / "own.csv"
    rows = ("halves,test_c,A", "halves,train_a,C", "other,z,B")
    lines = (
        f"{dataset},{image},spot,30,30,9,8,0,{grade}"
        for dataset, image, grade in (row.split(",") for row in rows)
    )
    table.write_text("dataset,image,structure,cx,cy,rx,ry,angle,grade\n" + "\n".join(lines))
    parts = plan_parts([table], SPOTS)
    found = {part.dataset.name: [record.stem for record in part.records] for part in parts}
    assert found == {"halves": ["test_c", "train_a"], "other": ["z"]}
    graded = plan_parts([table], EvaluateSettings(target="spot", grades=("A",)))
    assert [record.stem for part in graded for record in part.records] == ["test_c"]
