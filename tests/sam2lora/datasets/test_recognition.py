"""Recognising datasets, errors if there is none, and finding the record of an image."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lora.datasets import find_record, read_dataset, recognize
from sam2lora.errors import DatasetError, TargetError

Put = Callable[[str, Any], Path]


@pytest.fixture
def drive(put: Put, box: np.ndarray) -> Path:
    """Write a folder with DRIVE in it, two images in each half; return the outer folder."""
    for split, numbers in (("training", ("21", "22")), ("test", ("01", "02"))):
        for number in numbers:
            put(f"DRIVE/{split}/images/{number}_{split}.tif", "photo")
            last = put(f"DRIVE/{split}/1st_manual/{number}_manual1.gif", box)
    return last.parents[3]


@pytest.mark.parametrize(
    ("inside", "stems"),
    [
        ("", ["01_test", "02_test", "21_training", "22_training"]),
        ("DRIVE", ["01_test", "02_test", "21_training", "22_training"]),
        ("DRIVE/training", ["21_training", "22_training"]),
        ("DRIVE/test/images", ["01_test", "02_test"]),
    ],
)
def test_dataset_is_recognised_in_and_around_the_folder(
    drive: Path, inside: str, stems: list[str]
) -> None:
    found = recognize(drive / inside)
    assert (found.layout.name, found.root) == ("DRIVE", drive / "DRIVE")
    dataset = read_dataset(drive / inside)
    assert [record.stem for record in dataset.records] == stems
    assert dataset.unmatched_masks == dataset.unmatched_images == ()


def test_folder_with_several_datasets_is_refused(drive: Path, put: Put, box: np.ndarray) -> None:
    put("other/images/a.png", "photo")
    put("other/masks/disc/a.png", box)
    with pytest.raises(DatasetError, match=r"several datasets: DRIVE \(DRIVE\), other \(folder\)"):
        recognize(drive)


def test_csv_table_takes_precedence_over_folder_layouts(drive: Path, put: Put) -> None:
    put("DRIVE/dataset.csv", "image,disc\ntest/images/01_test.tif,test/1st_manual/01_manual1.gif\n")
    assert read_dataset(drive / "DRIVE").layout == read_dataset(drive).layout == "csv"
    assert read_dataset(drive, layout="DRIVE").layout == "DRIVE"


def test_error_for_an_empty_folder_lists_the_layouts(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        read_dataset(tmp_path)
    message = str(caught.value)
    assert str(tmp_path) in message
    assert "training/images/21_training.tif (DRIVE)" in message
    assert "dataset.csv (csv)" in message


def test_error_names_the_layout_of_images_without_masks(put: Put, tmp_path: Path) -> None:
    put("images/01_dr.JPG", "photo")
    with pytest.raises(DatasetError, match=r"images of HRF \(01_dr\.JPG\), but none of their"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("images", "mask", "text"),
    [
        (
            ["anna.jpg"],
            "masks/disc/anna-disc.png",
            "masks/disc has anna-disc.png, but no mask is named as an image: "
            "expected anna.png or anna_disc.png.",
        ),
        (["01_g.jpg", "02_g.jpg"], "masks/cup/2.tif", "expected 01_g.tif or 01_g_cup.tif."),
        (["a.jpg", "b.jpg"], "masks/disc/od b.png", "expected b.png or b_disc.png."),
        (["1.jpg", "11.jpg"], "masks/disc/11 disc.png", "expected 11.png or 11_disc.png."),
        (["a.jpg"], "masks/b_disc.png", "masks has b_disc.png, but no mask is named as an image: "),
        (["a.jpg"], "masks/b_disc.png", "expected a_disc.png."),
    ],
)
def test_error_names_the_mask_that_is_expected(
    put: Put, tmp_path: Path, box: np.ndarray, images: list[str], mask: str, text: str
) -> None:
    for image in images:
        put(f"images/{image}", "photo")
    put(mask, box)
    with pytest.raises(DatasetError, match=re.escape(text)) as caught:
        read_dataset(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path.resolve()}: masks")


def test_error_of_a_split_folder_names_the_mask_that_is_expected(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    put("train/images/a.png", "photo")
    put("test/images/b.png", "photo")
    put("test/masks/disc/b disc.png", box)
    text = "test/masks/disc has b disc.png, but no mask is named as an image: expected b.png or "
    with pytest.raises(DatasetError, match=text):
        read_dataset(tmp_path)


def test_missing_folder_and_other_file_are_refused(put: Put, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such folder"):
        read_dataset(tmp_path / "missing")
    with pytest.raises(DatasetError, match=r"a\.txt: is a file; expected a folder or a CSV file"):
        read_dataset(put("a.txt", "hello"))


def test_layout_and_target_are_chosen_by_name(drive: Path) -> None:
    assert read_dataset(drive / "DRIVE", layout="DRIVE", target="vessel").targets == ("vessel",)
    with pytest.raises(DatasetError, match=r"called 'Drive'\. There are: csv, ellipses, DRIVE,"):
        read_dataset(drive, layout="Drive")
    with pytest.raises(DatasetError, match=r"no dataset was recognised.*\(STARE\)"):
        read_dataset(drive, layout="STARE")
    with pytest.raises(DatasetError, match="DRIVE has no masks of cup; it has: vessel"):
        read_dataset(drive, target="cup")


def test_masks_without_target_in_their_name_need_a_target(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    put("images/a.png", "photo")
    put("masks/a.png", box)
    with pytest.raises(
        DatasetError, match=r"recognised as folder, but no image has a mask.*--target"
    ):
        read_dataset(tmp_path)
    with pytest.raises(TargetError, match="No target is called 'optic disk'"):
        read_dataset(tmp_path, target="optic disk")


def test_two_images_with_one_stem_are_refused(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    put("images/a.png", "photo")
    put("images/a.jpg", "photo")
    put("masks/disc/a.png", box)
    with pytest.raises(DatasetError, match=r"a\.png: has the same name as .*a\.jpg"):
        read_dataset(tmp_path)


def test_find_record_of_an_image_in_a_dataset(drive: Path) -> None:
    dataset = read_dataset(drive)
    for record in dataset.records:
        assert find_record(record.image) == record


def test_find_record_of_a_relative_path(drive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(drive / "DRIVE" / "test")
    record = find_record(Path("images/01_test.tif"))
    assert record is not None
    assert record.stem == "01_test"


def test_find_record_of_an_image_in_a_csv_table(put: Put, box: np.ndarray) -> None:
    image, other = put("photos/a.png", "photo"), put("photos/b.png", "photo")
    put("masks/a.png", box)
    put("dataset.csv", "image,disc,patient\nphotos/a.png,masks/a.png,P7\n")
    record = find_record(image)
    assert record is not None
    assert (record.patient, list(record.masks)) == ("P7", ["disc"])
    assert find_record(other) is None


def test_find_record_of_any_other_image_is_none(put: Put) -> None:
    assert find_record(put("images/a.png", "photo")) is None
    assert find_record(put("01_test.tif", "photo")) is None
    assert find_record(Path("/a.png")) is None


def test_find_record_checks_few_files_of_a_large_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("images", "masks/vessel"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(5000):
            (tmp_path / folder / f"{number}.png").touch()
    checked: list[object] = []
    stat = os.stat

    def counting(path: Any, *args: Any, **options: Any) -> os.stat_result:
        checked.append(path)
        return stat(path, *args, **options)

    monkeypatch.setattr(os, "stat", counting)
    assert find_record(tmp_path / "images" / "4321.png") is not None
    assert 0 < len(checked) < 500


@pytest.mark.parametrize(
    ("folder", "layout", "count", "targets", "splits"),
    [
        ("DRIVE", "DRIVE", 40, ("vessel",), {"train": 20, "test": 20}),
        ("CHASEDB1", "CHASE_DB1", 28, ("vessel",), {None: 28}),
        ("HRF", "HRF", 24, ("vessel",), {None: 24}),
        ("Drishti-GS1_files", "DRISHTI-GS", 50, ("disc", "cup"), {"train": 50}),
        ("DRIONS-DB", "DRIONS-DB-masks", 109, ("disc",), {None: 109}),
    ],
)
def test_real_datasets_are_recognised(
    real_data: Path,
    folder: str,
    layout: str,
    count: int,
    targets: tuple[str, ...],
    splits: dict[str | None, int],
) -> None:
    dataset = read_dataset(real_data / folder)
    found = [record.split for record in dataset.records]
    assert (dataset.layout, len(found), dataset.targets) == (layout, count, targets)
    assert {split: found.count(split) for split in found} == splits
    assert all(set(record.masks) == set(targets) for record in dataset.records)
    assert dataset.unmatched_masks == dataset.unmatched_images == ()
    record = dataset.records[0]
    shape = record.read_image().pixels.shape[:2]
    for target in targets:
        mask = record.read_mask(target, grader="union")
        assert mask.shape == shape
        assert 0.001 < mask.mean() < 0.3
    assert find_record(record.image) == record


def test_patients_and_graders_of_real_datasets(real_data: Path) -> None:
    chase = read_dataset(real_data / "CHASEDB1").records
    assert len({record.patient for record in chase}) == 14
    assert [record.eye for record in chase[:2]] == ["left", "right"]
    drive = read_dataset(real_data / "DRIVE" / "test").records
    assert {len(record.masks["vessel"]) for record in drive} == {2}
    second = drive[0].read_mask("vessel", grader=2)
    assert 0.05 < second.mean() < 0.15
