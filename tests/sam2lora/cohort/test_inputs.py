"""Which images are measured, and which masks."""

import shutil
from pathlib import Path

import pytest

from sam2lora.cohort.inputs import find_records, masks_in, record_of
from sam2lora.errors import ImageError
from sam2lora.inference.confidence_file import update_confidences


def test_dataset_has_its_own_masks(data: Path):
    records = find_records([data])
    assert len(records) == 8
    assert set(records[0].masks) == {"disc", "vessel"}
    assert records[0].patient == "p00"
    assert find_records([records[2].image, data])[0] == records[2]
    assert len(find_records([records[2].image, data])) == 8


def test_folder_of_masks_replaces_the_datasets_own(data: Path, tmp_path: Path):
    images = sorted((data / "images").iterdir())
    masks = tmp_path / "masks"
    masks.mkdir()
    shutil.copy(data / "masks" / "disc" / images[0].name, masks / f"{images[0].stem}_disc.png")
    (masks / f"{images[0].stem}_fovea.json").write_text("{}")  # it is opened where it is measured
    update_confidences(masks, {images[0].name: {"disc": 0.5}})
    (record,) = find_records([data], masks=masks)
    assert set(record.masks) == {"disc", "fovea"}
    assert record.masks["disc"][0].confidence == 0.5
    assert record.masks["disc"][0].path.parent == masks
    assert record.eye == "left"
    assert masks_in(masks, images[1], {}) == {}


def test_images_without_masks_are_refused_with_what_to_do(data: Path, tmp_path: Path):
    shutil.rmtree(data / "masks")
    with pytest.raises(ImageError, match="--masks"):
        find_records([data / "images"])
    with pytest.raises(ImageError, match="no such folder"):
        find_records([data / "images"], masks=tmp_path / "none")
    record = record_of(next((data / "images").iterdir()))
    assert (record.dataset, dict(record.masks)) == ("", {})


def test_table_of_a_dataset_is_read(data: Path):
    table = data / "mine.csv"
    table.write_text("image,disc\nimages/p00_left.png,masks/disc/p00_left.png\n")
    (record,) = find_records([table])
    assert record.image.name == "p00_left.png"
