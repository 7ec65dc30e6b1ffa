"""A dataset from the viewer is read like any other."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.annotations import LabelledImage, save_training_data
from sam2lora.datasets import read_dataset
from sam2lora.datasets.csv_dataset import read_rows
from sam2lora.errors import GeometryError, OutputError

PIXELS = np.full((20, 30, 3), 90, np.uint8)


def mask(left: int = 5) -> np.ndarray:
    painted = np.zeros((20, 30), bool)
    painted[4:9, left:12] = True
    return painted


def test_written_dataset_is_read_back(tmp_path: Path) -> None:
    source = tmp_path / "a photo.bmp"
    Image.fromarray(PIXELS).save(source)
    images = [
        LabelledImage("eye/1", PIXELS, {"disc": mask(), "cup": mask(8)}, "anna", ignored=mask(2)),
        LabelledImage("eye 1", source, {"disc": mask(6)}, fov=np.ones((20, 30), bool)),
        LabelledImage("Eye_1", PIXELS, {"disc": mask(7)}),
    ]
    table = save_training_data(tmp_path / "data", images)
    records = {record.stem: record for record in read_dataset(table).records}
    assert list(records) == ["Eye_1_2", "eye 1", "eye_1"]
    first, copied = records["eye_1"], records["eye 1"]
    assert first.patient == "anna"
    assert np.array_equal(first.read_mask("cup"), mask(8))
    assert np.array_equal(first.read_ignored(), mask(2))
    assert copied.image == tmp_path / "data/images/eye 1.bmp"
    assert np.array_equal(copied.read_image().pixels, PIXELS)
    assert copied.read_field_of_view().mask.all()
    assert copied.read_ignored() is None


def test_images_need_not_be_copied(tmp_path: Path) -> None:
    source = tmp_path / "photo.png"
    Image.fromarray(PIXELS).save(source)
    images = [LabelledImage("photo", source, {"disc": mask()})]
    table = save_training_data(tmp_path / "data", images, copy=False)
    assert read_dataset(table).records[0].image == source
    assert not (tmp_path / "data/images").exists()


def test_masks_of_different_sizes_are_refused_before_the_table(tmp_path: Path) -> None:
    images = [LabelledImage("eye", PIXELS, {"disc": mask(), "cup": mask()[1:]})]
    with pytest.raises(GeometryError, match="eye: the masks differ in size"):
        save_training_data(tmp_path / "data", images)
    assert not (tmp_path / "data/dataset.csv").exists()


def test_missing_image_file_is_named(tmp_path: Path) -> None:
    images = [LabelledImage("eye", tmp_path / "gone.png", {"disc": mask()})]
    with pytest.raises(OutputError, match=r"eye\.png"):
        save_training_data(tmp_path / "data", images)


def test_notes_are_further_columns_of_the_table(tmp_path: Path):
    mask = np.ones((4, 4), bool)
    pixels = np.zeros((4, 4, 3), np.uint8)
    images = [
        LabelledImage("a", pixels, {"disc": mask}, notes={"disc_chosen": "staple"}),
        LabelledImage("b", pixels, {"disc": mask}),
    ]
    table = save_training_data(tmp_path / "set", images)
    first, second = (row for _, row in read_rows(table))
    assert (first["disc_chosen"], second["disc_chosen"]) == ("staple", "")
    assert len(read_dataset(tmp_path / "set").records) == 2
