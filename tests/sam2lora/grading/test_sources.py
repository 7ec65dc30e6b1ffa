"""Images for a session, from tables, datasets and folders."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sam2lora.errors import DatasetError, ImageError
from sam2lora.grading import list_sources
from sam2lora.grading.sources import safe_stem


def test_table_names_patients_and_eyes(photos: Path):
    table = photos.parent / "list.csv"
    table.write_text(
        "Image;Patient;Eye;Dataset\nphotos/p2_left.png;Q7;OD;clinic\nphotos\\p1_left.png;;;\n"
    )
    first, second = list_sources([table])
    assert (first.path, first.patient, first.eye, first.dataset) == (
        photos / "p2_left.png",
        "Q7",
        "right",
        "clinic",
    )
    assert (second.stem, second.patient, second.eye) == ("p1_left", "p1", "left")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file\na.png\n", "needs a column `image`"),
        ("image,eye\nphotos/p1_left.png,middle\n", "line 2 has the eye 'middle'"),
        ("image,eye\n,left\n", "line 2 names no image"),
        ("image\nno.png\n", r"line 2 names .*no\.png, which does not exist"),
    ],
)
def test_table_that_cannot_be_used_is_explained(photos: Path, text: str, reason: str):
    table = photos.parent / "list.csv"
    table.write_text(text)
    with pytest.raises(DatasetError, match=reason):
        list_sources([table])


def test_recognised_dataset_gives_patients_and_eyes_of_every_image(
    write_eyes: Callable[..., Path], tmp_path: Path
):
    root = write_eyes(tmp_path / "eyes", patients=2, size=64)
    (root / "masks" / "disc" / "p00_left.png").unlink()
    (root / "masks" / "vessel" / "p00_left.png").unlink()
    found = list_sources([root])
    assert [one.stem for one in found] == ["p00_left", "p00_right", "p01_left", "p01_right"]
    assert [(one.patient, one.eye) for one in found[:2]] == [("p00", "left"), ("p00", "right")]
    assert found[1].dataset == "eyes"


def test_split_is_that_of_the_dataset_however_an_image_is_given(
    write_eyes: Callable[..., Path], tmp_path: Path
):
    root = write_eyes(tmp_path / "eyes", patients=2, size=64)
    splits = {"p00_left": "test", "p00_right": "test", "p01_left": "train", "p01_right": ""}
    rows = ["image,disc,split"]
    for name, split in splits.items():
        rows.append(f"images/{name}.png,masks/disc/{name}.png,{split}")
    (root / "dataset.csv").write_text("\n".join(rows))
    given = list_sources([root])
    assert [one.split for one in given] == ["test", "test", "train", None]
    table = tmp_path / "list.csv"
    table.write_text("image\n" + "".join(f"{one.path}\n" for one in given))
    assert [one.split for one in list_sources([table])] == [one.split for one in given]
    assert [one.split for one in list_sources([one.path for one in given])] == [
        one.split for one in given
    ]


def test_damaged_dataset_around_an_image_is_no_obstacle(photos: Path):
    (photos / "dataset.csv").write_text("image,disc\nno.png,no.png\n")
    table = photos.parent / "list.csv"
    table.write_text("image\nphotos/p1_left.png\n")
    assert [one.split for one in list_sources([table])] == [None]


def test_files_given_twice_are_listed_once(photos: Path):
    assert len(list_sources([photos, photos / "p1_left.png", str(photos / "*.png")])) == 4
    with pytest.raises(ImageError, match="no image here"):
        list_sources([photos / "*.tif"])


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("p1 left.a", "p1 left.a"),
        ("../../evil", "_.._evil"),
        (".hidden", "hidden"),
        ("e\u0301", "\u00e9"),
        ("Con", "_Con"),
        ("lpt1.left", "_lpt1.left"),
        ("?.", "_"),
        ("..", "image"),
    ],
)
def test_names_are_made_usable_in_file_names(name: str, safe: str):
    assert safe_stem(name) == safe
    assert safe_stem(safe) == safe
