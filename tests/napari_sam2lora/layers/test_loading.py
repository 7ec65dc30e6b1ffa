"""Which photographs a folder holds, and what comes with one."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_sam2lora.layers.loading import (
    image_file_at,
    list_image_folder,
    read_image_layers,
)
from sam2lora.annotations.store import Corrections
from sam2lora.errors import DatasetError

from ..conftest import SHAPE, bar


def save(path: Path) -> Path:
    Image.fromarray(np.full((*SHAPE, 3), 120, np.uint8)).save(path)
    return path


def test_a_data_set_lists_its_images_once_and_keeps_corrections_for_the_whole_set(drive: Path):
    for folder in (drive, drive / "test"):
        assert list_image_folder(folder).source == drive
    stems = [photograph.stem for photograph in list_image_folder(drive).images]
    assert stems == ["01_test", "21_training"]
    assert [one.stem for one in list_image_folder(drive / "test").images] == ["01_test"]


def test_a_folder_of_photographs_lists_them_in_order(tmp_path: Path):
    for name in ("b.png", "a.jpg", "a.png", ".c.png", "notes.txt"):
        save(tmp_path / name) if name != "notes.txt" else (tmp_path / name).write_text("")
    listing = list_image_folder(tmp_path)
    assert [one.stem for one in listing.images] == ["a.jpg", "a.png", "b"]
    assert listing.source == tmp_path


def test_masks_that_do_not_say_of_what_are_no_hindrance(tmp_path: Path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "a.png")
    (photograph,) = list_image_folder(tmp_path).images
    assert photograph.path == tmp_path / "images" / "a.png"
    (image,) = read_image_layers(photograph)
    assert image[2] == "image"


def test_photographs_beside_a_data_set_are_the_ones_meant(drive: Path):
    save(drive.parent / "mine.png")
    assert [one.stem for one in list_image_folder(drive.parent).images] == ["mine"]


def test_a_folder_that_is_gone_is_said(tmp_path: Path):
    with pytest.raises(DatasetError, match="gone"):
        list_image_folder(tmp_path / "gone")


def test_a_folder_without_images_is_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match="no dataset was recognised"):
        list_image_folder(tmp_path)


def test_corrections_take_the_place_of_the_sets_masks(drive: Path):
    photograph = list_image_folder(drive).images[0]
    kept = Corrections(drive)
    kept.save(photograph.stem, photograph.path, {"vessel": ~bar(), "disc": bar()})
    _, disc, vessel = read_image_layers(photograph, corrections=kept)
    assert disc[1]["name"] == "01_test disc"
    np.testing.assert_array_equal(vessel[0] != 0, ~bar())
    _, vessel = read_image_layers(photograph)
    np.testing.assert_array_equal(vessel[0] != 0, bar())


def test_corrections_of_an_image_that_changed_are_left_out_and_told(
    drive: Path, notices: list[str]
):
    photograph = list_image_folder(drive).images[0]
    kept = Corrections(drive)
    kept.save(photograph.stem, photograph.path, {"vessel": bar()[:50]})
    _, vessel = read_image_layers(photograph, corrections=kept)
    np.testing.assert_array_equal(vessel[0] != 0, bar())
    assert "without your corrections" in notices[0]
    assert "01_test_vessel.png" in notices[0]


def test_a_file_outside_any_set_has_no_record(tmp_path: Path):
    photograph = image_file_at(save(tmp_path / "eye.png"))
    assert (photograph.stem, photograph.record) == ("eye", None)
