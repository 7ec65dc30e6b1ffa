"""Checking a dataset reports every problem by file, and has no false positives."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets import DatasetReport, Record, check_dataset, read_dataset
from sam2lora.datasets.check import check_masks
from sam2lora.errors import DatasetError

Put = Callable[[str, Any], Path]


def problems(report: DatasetReport) -> dict[str, str]:
    """Return the problems by path in the dataset; every file here has at most one."""
    found = {p.path.relative_to(report.dataset.root).as_posix(): p.text for p in report.problems}
    assert len(found) == len(report.problems)
    return found


@pytest.fixture
def folder(put: Put, tmp_path: Path, box: np.ndarray) -> Path:
    """Write a plain folder of two valid images with discs."""
    for stem in "ab":
        put(f"images/{stem}.png", "photo")
        put(f"masks/disc/{stem}.png", box)
    return tmp_path


def test_valid_dataset_has_no_problems(folder: Path) -> None:
    calls: list[tuple[int, int]] = []
    report = check_dataset(folder, progress=lambda done, total: calls.append((done, total)))
    assert report.problems == ()
    assert report.pairs == {("disc", None): 2}
    assert calls == [(1, 2), (2, 2)]


def test_image_without_mask_and_mask_without_image_are_reported(
    folder: Path, put: Put, box: np.ndarray
) -> None:
    put("images/c.png", "photo")
    put("masks/disc/d.png", box)
    assert problems(check_dataset(folder)) == {
        "images/c.png": "has no mask of disc",
        "masks/disc/d.png": "is a mask that no image uses",
    }


def test_invalid_masks_are_reported(folder: Path, put: Put, box: np.ndarray) -> None:
    grey = (np.arange(96) % 9 * 31).astype(np.uint8).reshape(8, 12)
    cases = {
        "empty": np.zeros_like(box),
        "full": np.ones_like(box),
        "grey": grey,
        "inverted": ~box,
        "size": box[:4, :5],
        "text": "no image at all",
    }
    for stem, mask in cases.items():
        put(f"images/{stem}.png", "photo")
        put(f"masks/disc/{stem}.png", mask)
    found = problems(check_dataset(folder))
    expected = {
        "empty": "the mask of disc is empty",
        "full": "the mask of disc covers the whole image",
        "grey": "holds the values 0, 31, 62, 93, 124, 155, … (9 in all); expected 2 values",
        "inverted": "the mask of disc covers 88% of the image: inverted?",
        "size": "is 5 × 4, but size.png is 12 × 8 (width × height)",
        "text": "is not an image in a supported format "
        "(TIFF, PNG, JPEG, BMP, GIF, PPM, PGM, WebP, JPEG 2000, AVIF, DICOM)",
    }
    assert found == {f"masks/disc/{stem}.png": text for stem, text in expected.items()}


def test_unreadable_image_is_reported_once(folder: Path, put: Put) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    image = put("images/a.png", noise)
    image.write_bytes(image.read_bytes()[: image.stat().st_size // 2])
    found = problems(check_dataset(folder))
    assert list(found) == ["images/a.png"]
    assert "damaged or truncated" in found["images/a.png"]


def test_values_of_jpeg_masks_are_not_reported(folder: Path, put: Put) -> None:
    soft = np.zeros((8, 12), np.uint8)
    soft[2:6, 3:8] = 255
    put("images/j.png", "photo")
    path = put("masks/disc/j.jpg", soft)
    assert len(np.unique(np.asarray(Image.open(path)))) > 2
    assert check_dataset(folder).problems == ()


def test_unexpected_values_of_soft_maps_are_reported(put: Put, tmp_path: Path) -> None:
    soft = np.zeros((8, 12), np.uint8)
    soft[2:6, 2:7] = [[0, 64, 128, 191, 255]] * 4
    for stem, values in (("drishtiGS_002", soft), ("drishtiGS_004", soft // 2 + 128)):
        put(f"Training/Images/{stem}.png", "photo")
        for name in ("OD", "cup"):
            put(f"Training/GT/{stem}/SoftMap/{stem}_{name}segSoftmap.png", values)
    found = problems(check_dataset(tmp_path, target="disc"))
    assert list(found) == ["Training/GT/drishtiGS_004/SoftMap/drishtiGS_004_ODsegSoftmap.png"]
    assert "expected only [0, 63, 64, 127, 128, 191, 192, 255]" in "".join(found.values())


def test_fields_of_view_are_checked(folder: Path, put: Put, box: np.ndarray) -> None:
    put("fov/a.png", np.pad(np.zeros((4, 8), bool), 2, constant_values=True))
    assert problems(check_dataset(folder)) == {
        "fov/a.png": "the mask of the field of view covers 67% of the image: inverted?",
        "images/b.png": "has no field of view, other images of the dataset have one",
    }


def test_patient_in_two_splits_is_reported(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    for split, stem in (("train", "7_L"), ("test", "7_R"), ("train", "8_L")):
        put(f"{split}/images/{stem}.png", "photo")
        put(f"{split}/masks/disc/{stem}.png", box)
    report = check_dataset(tmp_path)
    assert report.pairs == {("disc", "train"): 2, ("disc", "test"): 1}
    assert [problem.text for problem in report.problems] == [
        "patient 7 is in several splits: 7_R.png (test), 7_L.png (train)"
    ]


def test_split_without_masks_is_reported_once(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    for number in ("21", "22"):
        put(f"training/images/{number}_training.tif", "photo")
        put(f"training/1st_manual/{number}_manual1.gif", box)
    for number in ("01", "02", "03"):
        put(f"test/images/{number}_test.tif", "photo")
    report = check_dataset(tmp_path)
    assert [(problem.path, problem.text) for problem in report.problems] == [
        (tmp_path, "none of the 3 images in test has a mask of vessel")
    ]


def test_missing_cup_of_g1020_is_not_reported(
    put: Put, tmp_path: Path, outline: list[tuple[float, float]]
) -> None:
    put("Images/image_0.jpg", "photo")
    put("Images/image_0.json", {"shapes": [{"label": "disc", "points": outline}]})
    report = check_dataset(tmp_path)
    assert report.problems == ()
    assert "432 patients" in report.note


def test_folder_without_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no dataset was recognised"):
        check_dataset(tmp_path)


@pytest.mark.parametrize("name", ["DRIVE", "CHASEDB1", "Drishti-GS1_files", "DRIONS-DB"])
def test_real_datasets_have_no_problems(real_data: Path, name: str) -> None:
    report = check_dataset(real_data / name)
    assert report.problems == ()


def test_label_maps_are_reported_unless_their_labels_are_known(
    folder: Path, put: Put, box: np.ndarray
) -> None:
    put("masks/disc/a.png", box.astype(np.uint8) * np.uint8(2))
    (problem,) = check_dataset(folder).problems
    assert "is a label map with the labels 2, and nothing says" in problem.text
    assert check_dataset(folder, labels={"disc": (2,)}).problems == ()


def test_two_masks_of_one_image_are_reported(folder: Path, put: Put, box: np.ndarray) -> None:
    put("masks/disc/a.tif", box)
    (problem,) = check_dataset(folder).problems
    assert "a.tif" in f"{problem.path} {problem.text}"
    assert "a.png" in f"{problem.path} {problem.text}"


def test_mask_drawn_before_the_exif_orientation_is_reported(
    folder: Path, put: Put, box: np.ndarray
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.full((8, 12, 3), 90, np.uint8)).save(folder / "images" / "a.png", exif=exif)
    found = problems(check_dataset(folder))
    assert list(found) == ["masks/disc/a.png"]
    assert "it is read turned like the image" in found["masks/disc/a.png"]


def test_inverse_within_the_field_of_view_is_reported(
    folder: Path, put: Put, box: np.ndarray
) -> None:
    field = np.zeros_like(box)
    field[1:7, 2:10] = True
    put("fov/a.png", field)
    put("fov/b.png", field)
    put("masks/disc/a.png", field & ~box)
    assert problems(check_dataset(folder)) == {
        "masks/disc/a.png": "the mask of disc covers 38% of the image: inverted?"
    }


def test_masks_to_be_used_are_checked(folder: Path, put: Put, box: np.ndarray) -> None:
    put("masks/disc/a.png", ~box)
    records = read_dataset(folder).records
    (problem,) = check_masks(records, "disc")
    assert problem.path == folder / "masks/disc/a.png"
    put("masks/disc/b.png", box.astype(np.uint8) * np.uint8(2))
    with pytest.raises(DatasetError, match=r"b\.png: is a label map"):
        check_masks(records, "disc")
    (folder / "masks/disc/b.png").write_bytes(b"")
    assert check_masks(records, "disc") == [problem]
    none = [replace_labels(record, (7,)) for record in records[:1]]
    put("masks/disc/a.png", box.astype(np.uint8) * np.uint8(2))
    with pytest.raises(DatasetError, match="none of the 1 masks of disc holds the labels 7"):
        check_masks(none, "disc")


def replace_labels(record: Record, labels: tuple[int, ...]) -> Record:
    files = tuple(replace(file, labels=labels) for file in record.masks["disc"])
    return replace(record, masks={"disc": files})
