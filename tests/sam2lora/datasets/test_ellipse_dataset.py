"""Datasets described by a CSV file of ellipses in the images of other datasets."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lora.datasets import check_dataset, read_dataset
from sam2lora.datasets.ellipses import Landmark
from sam2lora.errors import DatasetError, ImageError

Put = Callable[[str, Any], Path]

HEADER = "dataset,image,structure,cx,cy,rx,ry,angle,grade\n"
GOOD = (
    HEADER
    + """mine,p1_L,disc,6,4,3,2,0,A
mine,p1_L,cup,6,4,1,1,0,C
mine,p2_R,disc,5,3,2,2,,B
mine,p2_R,fovea,9,3,,,,A
DRIVE,21_training,disc,4,4,2,3,90,A
"""
)


@pytest.fixture
def files(put: Put, box: np.ndarray) -> Put:
    """Write the images of two datasets side by side; return `put`."""
    for stem in ("p1_L", "p2_R", "p3_L"):
        put(f"sets/mine/images/{stem}.png", "photo")
        put(f"sets/mine/masks/vessel/{stem}.png", box)
    put("sets/DRIVE/training/images/21_training.tif", np.full((8, 12, 3), 90, np.uint8))
    put("sets/DRIVE/training/1st_manual/21_manual1.gif", box)
    put("sets/DRIVE/training/mask/21_training_mask.gif", box)
    return put


@pytest.mark.parametrize("place", ["sets/own.csv", "sets/ellipses/own.csv"])
def test_ellipses_are_the_masks_of_images_in_other_datasets(
    files: Put, box: np.ndarray, place: str
) -> None:
    dataset = read_dataset(files(place, GOOD))
    assert (dataset.name, dataset.layout) == ("own", "ellipses")
    assert [(r.dataset, r.stem, r.patient, r.split) for r in dataset.records] == [
        ("DRIVE", "21_training", "21", None),
        ("mine", "p1_L", "p1", None),
        ("mine", "p2_R", "p2", None),
    ]
    # A cup that is not in the file could not be told: no mask, rather than an empty one.
    assert [sorted(r.masks) for r in dataset.records] == [
        ["disc"],
        ["cup", "disc"],
        ["disc", "fovea"],
    ]
    drive, first, second = dataset.records
    assert second.point("fovea") == Landmark(9, 3, "A")
    with pytest.raises(DatasetError, match="no point for fovea"):
        first.point("fovea")
    np.testing.assert_array_equal(drive.read_field_of_view().mask, box)
    disc = first.read_mask("disc")
    assert disc.shape == (8, 12)
    assert disc[4, 3:10].all()
    assert disc[:, 6].sum() == 5
    assert first.read_mask("cup").sum() == 5


def test_one_target_and_some_grades_are_read(files: Put) -> None:
    table = files("sets/own.csv", GOOD)
    dataset = read_dataset(table, target="disc", grades=("A",))
    assert [r.stem for r in dataset.with_target("disc")] == ["21_training", "p1_L"]
    with pytest.raises(DatasetError, match="no image has a mask of cup"):
        read_dataset(table, target="cup", grades=("A", "B"))


def test_what_nobody_could_tell_is_no_problem(files: Put) -> None:
    report = check_dataset(files("sets/own.csv", GOOD))
    assert report.problems == ()
    assert report.pairs == {("disc", None): 3, ("cup", None): 1, ("fovea", None): 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("mine,p1_L,disc,6,4,0,2,0,A", r"line 2 has 6, 4, 0, 2, 0.*radii are above 0"),
        ("mine,p1_L,disc,6,nan,3,2,0,A", "line 2 has 6, nan"),
        ("mine,p1_L,disc,6,4,3,,0,A", "line 2 has 6, 4, 3, , 0"),
        ("mine,p1_L,disk,6,4,3,2,0,A", "line 2 has the structure 'disk'; use one of: vessel, disc"),
        ("mine,p9_L,disc,6,4,3,2,0,A", "line 2 names the image 'p9_L', which is not in"),
        ("other,p1_L,disc,6,4,3,2,0,A", "line 2 names the dataset 'other'.*no such folder"),
        (",p1_L,disc,6,4,3,2,0,A", "line 2 names the dataset ''"),
        ("mine,p1_L,disc,6,4,3,2,0,A\nmine,P1_L,disc,6,4,3,2,0,A", "line 3 is a second disc"),
        ("mine,p1_L,fovea,6,nan,,,,A", "line 2 has 6, nan"),
        ("mine,p1_L,disc,6,4,,,,A", "has no ellipse"),  # a mask is no point
    ],
)
def test_invalid_row_is_named(files: Put, row: str, message: str) -> None:
    table = files("sets/own.csv", HEADER + row + "\n")
    with pytest.raises(DatasetError, match=message):
        read_dataset(table)


def test_ellipse_on_an_image_of_another_size_is_refused(files: Put) -> None:
    table = files("sets/own.csv", HEADER + "mine,p1_L,disc,600,400,30,20,0,A\n")
    record = read_dataset(table).records[0]
    with pytest.raises(ImageError, match="drawn on an image of another size"):
        record.read_mask("disc")


def test_columns_for_angle_and_grade_may_be_missing(files: Put) -> None:
    text = "dataset,image,structure,cx,cy,rx,ry\nmine,p1_L,disc,6,4,3,2\n"
    (record,) = read_dataset(files("sets/own.csv", text)).records
    assert record.read_mask("disc")[4, 3:10].all()
