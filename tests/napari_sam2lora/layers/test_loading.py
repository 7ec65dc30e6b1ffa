"""Image files of a folder, and the layers read from one."""

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


def test_dataset_lists_its_images_and_has_one_correction_store(drive: Path):
    for folder in (drive, drive / "test"):
        assert list_image_folder(folder).source == drive
    stems = [image_file.stem for image_file in list_image_folder(drive).images]
    assert stems == ["01_test", "21_training"]
    assert [file.stem for file in list_image_folder(drive / "test").images] == ["01_test"]


def test_folder_of_images_is_listed_in_order(tmp_path: Path):
    for name in ("b.png", "a.jpg", "a.png", ".c.png", "notes.txt"):
        save(tmp_path / name) if name != "notes.txt" else (tmp_path / name).write_text("")
    listing = list_image_folder(tmp_path)
    assert [file.stem for file in listing.images] == ["a.jpg", "a.png", "b"]
    assert listing.source == tmp_path


def test_images_open_without_masks_of_unknown_targets(tmp_path: Path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "a.png")
    (image_file,) = list_image_folder(tmp_path).images
    assert image_file.path == tmp_path / "images" / "a.png"
    (image,) = read_image_layers(image_file)
    assert image[2] == "image"


def test_images_next_to_a_dataset_take_precedence(drive: Path):
    save(drive.parent / "mine.png")
    assert [file.stem for file in list_image_folder(drive.parent).images] == ["mine"]


def test_missing_folder_is_an_error(tmp_path: Path):
    with pytest.raises(DatasetError, match="gone"):
        list_image_folder(tmp_path / "gone")


def test_folder_without_images_is_rejected(tmp_path: Path):
    with pytest.raises(DatasetError, match="no dataset was recognised"):
        list_image_folder(tmp_path)


def test_corrections_replace_the_masks_of_the_dataset(drive: Path):
    image_file = list_image_folder(drive).images[0]
    kept = Corrections(drive)
    kept.save(image_file.stem, image_file.path, {"vessel": ~bar(), "disc": bar()})
    _, disc, vessel = read_image_layers(image_file, corrections=kept)
    assert disc[1]["name"] == "01_test disc"
    np.testing.assert_array_equal(vessel[0] != 0, ~bar())
    _, vessel = read_image_layers(image_file)
    np.testing.assert_array_equal(vessel[0] != 0, bar())


def test_corrections_of_another_size_are_left_out_with_a_warning(drive: Path, notices: list[str]):
    image_file = list_image_folder(drive).images[0]
    kept = Corrections(drive)
    kept.save(image_file.stem, image_file.path, {"vessel": bar()[:50]})
    _, vessel = read_image_layers(image_file, corrections=kept)
    np.testing.assert_array_equal(vessel[0] != 0, bar())
    assert "without your corrections" in notices[0]
    assert "01_test_vessel.png" in notices[0]


def test_file_outside_a_dataset_has_no_record(tmp_path: Path):
    image_file = image_file_at(save(tmp_path / "eye.png"))
    assert (image_file.stem, image_file.record) == ("eye", None)
