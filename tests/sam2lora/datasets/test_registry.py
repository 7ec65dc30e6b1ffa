"""Every layout of the table, on a folder as the dataset is distributed, with exact masks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lora.datasets import DATASETS, ENCODINGS, Dataset, read_dataset

Put = Callable[[str, Any], Path]


def facts(dataset: Dataset) -> list[tuple[str, str, str | None, str | None]]:
    return [(r.stem, r.patient, r.eye, r.split) for r in dataset.records]


def check_masks(dataset: Dataset, stem: str, expected: dict[str, list[np.ndarray]]) -> None:
    """Compare every mask of a record, of every grader."""
    record = next(record for record in dataset.records if record.stem == stem)
    assert set(record.masks) == set(expected)
    for target, masks in expected.items():
        assert len(record.masks[target]) == len(masks)
        for grader, mask in enumerate(masks, start=1):
            np.testing.assert_array_equal(record.read_mask(target, grader=grader), mask)


def shifted(mask: np.ndarray) -> np.ndarray:
    """Return another mask, for a second grader or target."""
    return np.roll(mask, 1, axis=1)


def test_every_encoding_of_a_layout_exists() -> None:
    locations = [
        location
        for layout in DATASETS.values()
        for graders in layout.masks.values()
        for location in graders
    ]
    locations += [layout.fov for layout in DATASETS.values() if layout.fov]
    assert {location.encoding for location in locations} <= set(ENCODINGS)


def test_drive(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    put("training/images/21_training.tif", "photo")
    put("training/1st_manual/21_manual1.gif", box)
    put("training/mask/21_training_mask.gif", ~box)
    put("test/images/01_test.tif", "photo")
    put("test/1st_manual/01_manual1.gif", box)
    put("test/2nd_manual/01_manual2.gif", shifted(box))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "DRIVE"
    assert facts(dataset) == [("01_test", "01", None, "test"), ("21_training", "21", None, "train")]
    check_masks(dataset, "21_training", {"vessel": [box]})
    check_masks(dataset, "01_test", {"vessel": [box, shifted(box)]})
    np.testing.assert_array_equal(dataset.records[1].read_field_of_view().mask, ~box)


def test_chase_db1(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    for eye in "LR":
        put(f"Image_03{eye}.jpg", "photo")
        put(f"Image_03{eye}_1stHO.png", box)
    put("Image_03R_2ndHO.png", shifted(box))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "CHASE_DB1"
    assert facts(dataset) == [
        ("Image_03L", "03", "left", None),
        ("Image_03R", "03", "right", None),
    ]
    check_masks(dataset, "Image_03R", {"vessel": [box, shifted(box)]})
    assert dataset.unmatched_masks == dataset.unmatched_images == ()


@pytest.mark.parametrize("ending", ["ppm", "ppm.gz"])
def test_stare(put: Put, tmp_path: Path, box: np.ndarray, ending: str) -> None:
    put(f"stare-images/im0001.{ending}", np.full((8, 12, 3), 99, np.uint8))
    put(f"labels-ah/im0001.ah.{ending}", box)
    put(f"labels-vk/im0001.vk.{ending}", shifted(box))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "STARE"
    assert facts(dataset) == [("im0001", "im0001", None, None)]
    check_masks(dataset, "im0001", {"vessel": [box, shifted(box)]})
    assert (dataset.records[0].read_image().pixels == 99).all()


def test_stare_with_unpacked_and_packed_images_counts_each_once(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    for ending in ("ppm", "ppm.gz"):
        put(f"stare-images/im0001.{ending}", np.full((8, 12, 3), 99, np.uint8))
        put(f"labels-ah/im0001.ah.{ending}", box)
    dataset = read_dataset(tmp_path)
    assert [record.image.suffix for record in dataset.records] == [".ppm"]
    assert dataset.unmatched_masks == dataset.unmatched_images == ()


def test_hrf_with_both_cases_of_the_ending(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    for name in ("01_dr.JPG", "01_g.jpg", "01_h.jpg"):
        put(f"images/{name}", "photo")
        put(f"manual1/{name[:-4]}.tif", box)
        put(f"mask/{name[:-4]}_mask.tif", np.repeat(~box[..., None], 3, axis=2))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "HRF"
    assert facts(dataset) == [(s, s, None, None) for s in ("01_dr", "01_g", "01_h")]
    check_masks(dataset, "01_dr", {"vessel": [box]})
    np.testing.assert_array_equal(dataset.records[0].read_field_of_view().mask, ~box)


def test_fives_stems_differ_between_the_halves(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    for split, mask in (("train", box), ("test", shifted(box))):
        put(f"{split}/Original/1_A.png", "photo")
        put(f"{split}/Ground truth/1_A.png", mask)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "FIVES"
    assert facts(dataset) == [
        ("test_1_A", "test_1_A", None, "test"),
        ("train_1_A", "train_1_A", None, "train"),
    ]
    check_masks(dataset, "test_1_A", {"vessel": [shifted(box)]})
    check_masks(dataset, "train_1_A", {"vessel": [box]})


def test_iostar(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    put("image/STAR 01_OSC.jpg", "photo")
    put("GT/STAR 01_OSC_GT.tif", box)
    put("mask/STAR 01_OSC_Mask.tif", ~box)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "IOSTAR"
    assert facts(dataset) == [("STAR 01_OSC", "01", "left", None)]
    check_masks(dataset, "STAR 01_OSC", {"vessel": [box]})
    np.testing.assert_array_equal(dataset.records[0].read_field_of_view().mask, ~box)


@pytest.mark.parametrize("sub", ["", "GLAUCOMA/", "NORMAL/"])
@pytest.mark.parametrize("test_folder", ["GT", "Test_GT"])
def test_drishti_gs_masks_are_those_of_three_of_four_experts(
    put: Put, tmp_path: Path, sub: str, test_folder: str
) -> None:
    soft = np.zeros((8, 12), np.uint8)
    soft[2:6, 2:7] = [[0, 64, 128, 191, 255]] * 4
    for half, gt, number in (("Training", "GT", "002"), ("Test", test_folder, "001")):
        stem = f"drishtiGS_{number}"
        put(f"{half}/Images/{sub}{stem}.png", "photo")
        put(f"{half}/{gt}/{stem}/SoftMap/{stem}_ODsegSoftmap.png", soft)
        put(f"{half}/{gt}/{stem}/SoftMap/{stem}_cupsegSoftmap.png", np.fliplr(soft))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "DRISHTI-GS"
    assert [(r.stem, r.split) for r in dataset.records] == [
        ("drishtiGS_001", "test"),
        ("drishtiGS_002", "train"),
    ]
    disc = np.zeros((8, 12), bool)
    disc[2:6, 5:7] = True
    for stem in ("drishtiGS_001", "drishtiGS_002"):
        check_masks(dataset, stem, {"disc": [disc], "cup": [np.fliplr(disc)]})


def test_drions_db_contours(
    put: Put, tmp_path: Path, box: np.ndarray, outline: list[tuple[float, float]]
) -> None:
    put("images/image_001.jpg", "photo")
    lines = "\n".join(f"{x} , {y}" for x, y in outline)
    put("experts_anotation/anotExpert1_001.txt", lines)
    put("experts_anotation/anotExpert2_001.txt", "\n".join(f"{x + 1} , {y}" for x, y in outline))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "DRIONS-DB"
    check_masks(dataset, "image_001", {"disc": [box, shifted(box)]})


def test_drions_db_jpeg_masks(put: Put, tmp_path: Path) -> None:
    half = np.zeros((8, 12), bool)
    half[:, 8:] = True
    put("images/image_001.jpg", "photo")
    put("disc/image_001.jpg", half)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "DRIONS-DB-masks"
    check_masks(dataset, "image_001", {"disc": [half]})


def test_idrid_disc_inside_the_folder_of_the_archive(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    halves = (("a. Training Set", "IDRiD_01"), ("b. Testing Set", "IDRiD_55"))
    for half, stem in halves:
        top = "A. Segmentation"
        put(f"{top}/1. Original Images/{half}/{stem}.jpg", "photo")
        masks = f"{top}/2. All Segmentation Groundtruths/{half}"
        put(f"{masks}/5. Optic Disc/{stem}_OD.tif", box.astype(np.uint8) * 76)
        put(f"{masks}/1. Microaneurysms/{stem}_MA.tif", ~box)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "IDRiD"
    assert [(r.stem, r.split) for r in dataset.records] == [
        ("IDRiD_01", "train"),
        ("IDRiD_55", "test"),
    ]
    check_masks(dataset, "IDRiD_55", {"disc": [box]})


@pytest.mark.parametrize("ending", ["bmp", "png"])
def test_refuge_disc_is_rim_and_cup(put: Put, tmp_path: Path, box: np.ndarray, ending: str) -> None:
    cup = box & shifted(box)
    values = np.where(cup, 0, np.where(box, 128, 255)).astype(np.uint8)
    for split in ("train", "val", "test"):
        put(f"{split}/images/n0001.jpg", "photo")
        put(f"{split}/mask/n0001.{ending}", values)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "REFUGE"
    assert [(r.stem, r.split) for r in dataset.records] == [
        ("test_n0001", "test"),
        ("train_n0001", "train"),
        ("val_n0001", "val"),
    ]
    check_masks(dataset, "val_n0001", {"disc": [box], "cup": [cup]})


@pytest.mark.parametrize("surplus", [0, 2, 3])
def test_origa_mask_wider_than_its_image_is_cropped_on_both_sides(
    put: Put, tmp_path: Path, box: np.ndarray, surplus: int
) -> None:
    cup = box & shifted(box)
    left = surplus // 2
    values = np.zeros((8, 12 + surplus), np.uint8)
    values[:, left : left + 12] = box.astype(np.uint8) + cup
    values[:, :left] = values[:, left + 12 :] = 2
    put("Images/001.jpg", "photo")
    put("Semi-automatic-annotations/001.mat", {"mask": values})
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "ORIGA"
    check_masks(dataset, "001", {"disc": [box], "cup": [cup]})


def test_g1020_without_a_cup(
    put: Put, tmp_path: Path, box: np.ndarray, outline: list[tuple[float, float]]
) -> None:
    shapes = [
        {"label": "disc", "points": outline, "shape_type": "polygon"},
        {"label": "discLoc", "points": [[1, 1], [9, 6]], "shape_type": "rectangle"},
    ]
    put("Images/image_0.jpg", "photo")
    put("Images/image_0.json", {"shapes": shapes, "imageHeight": 8, "imageWidth": 12})
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "G1020"
    check_masks(dataset, "image_0", {"disc": [box], "cup": [np.zeros_like(box)]})


def test_grape_visits_belong_to_one_patient(
    put: Put, tmp_path: Path, box: np.ndarray, outline: list[tuple[float, float]]
) -> None:
    shapes = [
        {"label": "OD", "points": outline},
        {"label": "OC", "points": [(x + 1, y) for x, y in outline]},
    ]
    for stem in ("1_OD_1", "1_OD_2", "1_OS_1", "2_OD_1"):
        put(f"ROI images/{stem}.jpg", "photo")
        put(f"json/{stem}.json", {"shapes": shapes})
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "GRAPE"
    assert facts(dataset) == [
        ("1_OD_1", "1", "right", None),
        ("1_OD_2", "1", "right", None),
        ("1_OS_1", "1", "left", None),
        ("2_OD_1", "2", "right", None),
    ]
    check_masks(dataset, "1_OS_1", {"disc": [box], "cup": [shifted(box)]})


def test_papila_two_experts_and_both_eyes(
    put: Put, tmp_path: Path, box: np.ndarray, outline: list[tuple[float, float]]
) -> None:
    for eye in ("OD", "OS"):
        put(f"FundusImages/RET002{eye}.jpg", "photo")
        for target, shift in (("disc", 0), ("cup", 1)):
            for expert in (1, 2):
                text = "\n".join(f"{x + shift + expert - 1} {y}" for x, y in outline)
                put(
                    f"ExpertsSegmentations/Contours/RET002{eye}_{target}_exp{expert}.txt",
                    text + "\n",
                )
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "PAPILA"
    assert facts(dataset) == [
        ("RET002OD", "002", "right", None),
        ("RET002OS", "002", "left", None),
    ]
    once, twice = shifted(box), shifted(shifted(box))
    check_masks(dataset, "RET002OS", {"disc": [box, once], "cup": [once, twice]})


def test_folder_with_a_folder_per_target(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    put("images/a.PNG", "photo")
    put("images/b.jpg", "photo")
    put("masks/vessel/a.png", box)
    put("masks/disc/a.tif", shifted(box))
    put("masks/vessel/b.bmp", shifted(box))
    put("fov/a.png", ~box)
    dataset = read_dataset(tmp_path)
    assert (dataset.name, dataset.layout) == (tmp_path.name, "folder")
    assert facts(dataset) == [("a", "a", None, None), ("b", "b", None, None)]
    check_masks(dataset, "a", {"vessel": [box], "disc": [shifted(box)]})
    check_masks(dataset, "b", {"vessel": [shifted(box)]})
    np.testing.assert_array_equal(dataset.records[0].read_field_of_view().mask, ~box)
    assert dataset.unmatched_masks == dataset.unmatched_images == ()


def test_folder_with_the_target_in_the_name(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    put("images/a.png", "photo")
    put("masks/a_disc.png", box)
    put("masks/a_cup.png", shifted(box))
    check_masks(read_dataset(tmp_path), "a", {"disc": [box], "cup": [shifted(box)]})
    only = read_dataset(tmp_path, target="cup")
    check_masks(only, "a", {"cup": [shifted(box)]})
    assert only.unmatched_masks == ()


def test_folder_with_masks_that_do_not_name_the_target(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    put("images/a.png", "photo")
    put("masks/a.png", box)
    check_masks(read_dataset(tmp_path, target="disc"), "a", {"disc": [box]})


def test_both_eyes_in_a_folder_belong_to_one_patient(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    for stem in ("0012_OD", "0012_OS", "0013_left", "Image_04L", "Image_04R", "plain"):
        put(f"images/{stem}.png", "photo")
        put(f"masks/disc/{stem}.png", box)
    assert facts(read_dataset(tmp_path)) == [
        ("0012_OD", "0012", "right", None),
        ("0012_OS", "0012", "left", None),
        ("0013_left", "0013", "left", None),
        ("Image_04L", "Image_04", "left", None),
        ("Image_04R", "Image_04", "right", None),
        ("plain", "plain", None, None),
    ]


def test_split_folders_keep_the_patient_names(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    for split, stem in (("train", "7_L"), ("test", "7_R"), ("val", "8_L")):
        put(f"{split}/images/{stem}.png", "photo")
        put(f"{split}/masks/vessel/{stem}.png", box)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "split-folders"
    assert facts(dataset) == [
        ("test_7_R", "7", "right", "test"),
        ("train_7_L", "7", "left", "train"),
        ("val_8_L", "8", "left", "val"),
    ]
    check_masks(dataset, "val_8_L", {"vessel": [box]})
