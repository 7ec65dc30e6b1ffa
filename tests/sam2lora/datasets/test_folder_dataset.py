"""Listing a folder: which files belong to records, and which are unmatched."""

import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sam2lora.datasets import read_dataset

Put = Callable[[str, Any], Path]


def test_hidden_files_are_ignored(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    put("images/a.png", "photo")
    put("masks/disc/a.png", box)
    put("images/._a.png", "resource fork")
    put("masks/disc/._a.png", "resource fork")
    dataset = read_dataset(tmp_path)
    assert [record.stem for record in dataset.records] == ["a"]
    assert dataset.unmatched_masks == dataset.unmatched_images == ()


def test_unmatched_masks_and_images_are_listed(put: Put, tmp_path: Path, box: np.ndarray) -> None:
    put("DRIVE/training/images/21_training.tif", "photo")
    put("DRIVE/training/1st_manual/21_manual1.gif", box)
    put("DRIVE/test/images/01_test.tif", "photo")
    mask = put("DRIVE/training/1st_manual/39_manual1.gif", box)
    image = put("DRIVE/test/images/extra.tif", "photo")
    dataset = read_dataset(tmp_path)
    assert (dataset.unmatched_masks, dataset.unmatched_images) == ((mask,), (image,))


def test_unmatched_masks_of_other_targets_are_not_listed(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    put("images/a.png", "photo")
    put("masks/a_disc.png", box)
    put("masks/b_cup.png", box)
    unmatched = put("masks/b_disc.png", box)
    unknown_target = put("masks/a_drusen.png", box)
    dataset = read_dataset(tmp_path, target="disc")
    assert set(dataset.unmatched_masks) == {unmatched, unknown_target}


def test_records_are_sorted_regardless_of_the_listing_order(
    put: Put, tmp_path: Path, box: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stem in ("b", "a", "c"):
        put(f"images/{stem}.png", "photo")
        put(f"masks/disc/{stem}.png", box)
    real = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda path: sorted(real(path), reverse=True))
    assert [record.stem for record in read_dataset(tmp_path).records] == ["a", "b", "c"]


def test_listing_opens_no_file(put: Put, tmp_path: Path) -> None:
    put("images/a.png", "not an image")
    put("masks/disc/a.png", "no mask")
    assert [record.stem for record in read_dataset(tmp_path).records] == ["a"]


@pytest.mark.parametrize("rival", ["masks/disc/a.jpg", "masks/disc/a.PNG", "masks/a_disc.tif"])
def test_two_masks_of_one_image_are_rivals(put: Put, tmp_path: Path, rival: str) -> None:
    put("images/a.png", "photo")
    mask, other = put("masks/disc/a.png", np.eye(8, 12) > 0), put(rival, np.eye(8, 12) > 0)
    if mask.samefile(other):
        pytest.skip("this file system ignores case")
    dataset = read_dataset(tmp_path)
    (file,) = dataset.records[0].masks["disc"]
    assert {file.path, *file.rivals} == {mask, other}
    assert dataset.unmatched_masks == ()


def test_packed_copy_of_a_mask_is_no_rival(put: Put, tmp_path: Path) -> None:
    put("stare-images/im0001.ppm", "photo")
    for suffix in ("ppm", "ppm.gz"):
        put(f"labels-ah/im0001.ah.{suffix}", np.zeros((8, 12, 3), np.uint8))
    assert read_dataset(tmp_path).records[0].masks["vessel"][0].rivals == ()


@pytest.mark.parametrize("forms", ["NFC NFD", "NFD NFC"])
def test_names_match_in_both_unicode_forms(put: Put, tmp_path: Path, forms: str) -> None:
    image, mask = (unicodedata.normalize(form, "Müller_é") for form in forms.split())
    put(f"images/{image}.png", "photo")
    put(f"masks/disc/{mask}.png", np.eye(8, 12) > 0)
    put(f"fov/{mask}.png", np.ones((8, 12), bool))
    dataset = read_dataset(tmp_path)
    assert dataset.records[0].read_mask("disc").any()
    assert dataset.records[0].fov is not None
    assert dataset.unmatched_masks == ()


def test_records_are_sorted_as_people_count(put: Put, tmp_path: Path) -> None:
    for stem in ("111", "2", "12"):
        put(f"images/{stem}.png", "photo")
        put(f"masks/disc/{stem}.png", np.eye(8, 12) > 0)
    assert [record.stem for record in read_dataset(tmp_path).records] == ["2", "12", "111"]


@pytest.mark.parametrize(
    ("folder", "split"),
    [("training", "train"), ("valid", "val"), ("validation", "val"), ("testing", "test")],
)
def test_split_folders_have_their_usual_names(
    put: Put, tmp_path: Path, box: np.ndarray, folder: str, split: str
) -> None:
    for name in ("train", folder):
        put(f"{name}/images/a.png", "photo")
        put(f"{name}/masks/a.png", box)
    dataset = read_dataset(tmp_path, target="disc")
    assert {record.split for record in dataset.records} == {"train", split}
    assert len(dataset.records) == 2


@pytest.mark.parametrize("half", ["", "train/"])
def test_masks_as_written_by_this_project_are_found_in_the_folder_of_their_target(
    put: Put, tmp_path: Path, box: np.ndarray, half: str
) -> None:
    image = put(f"{half}images/01_g.jpg", "photo")
    disc = put(f"{half}masks/disc/01_g_disc.png", box)
    cup = put(f"{half}masks/cup/01_g_cup.png", box)
    dataset = read_dataset(tmp_path)
    (record,) = dataset.records
    assert record.image == image
    assert {name: [file.path for file in files] for name, files in record.masks.items()} == {
        "disc": [disc],
        "cup": [cup],
    }
    assert dataset.unmatched_masks == ()


def test_mask_named_as_its_image_wins_and_the_other_is_listed(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    put("images/a.jpg", "photo")
    mask, other = put("masks/disc/a.png", box), put("masks/disc/a_disc.png", ~box)
    dataset = read_dataset(tmp_path)
    (file,) = dataset.records[0].masks["disc"]
    assert (file.path, file.rivals) == (mask, ())
    assert dataset.unmatched_masks == (other,)


def test_mask_named_as_another_image_is_not_used_twice(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    put("images/a.jpg", "photo")
    put("images/a_disc.jpg", "photo")
    mask = put("masks/disc/a_disc.png", box)
    found = {record.stem: record.masks for record in read_dataset(tmp_path).records}
    assert found["a"] == {}
    assert [file.path for file in found["a_disc"]["disc"]] == [mask]


def test_mask_left_among_the_images_takes_no_mask_away(
    put: Put, tmp_path: Path, box: np.ndarray
) -> None:
    put("images/a.jpg", "photo")
    put("images/a_disc.png", box)
    mask = put("masks/disc/a_disc.png", box)
    (record,) = read_dataset(tmp_path).records
    assert [file.path for file in record.masks["disc"]] == [mask]
