"""Where the fovea of an image is."""

from dataclasses import replace
from pathlib import Path

import pytest

from sam2lora.annotations.points import PointAnnotation, save_point
from sam2lora.cohort.fovea import Fovea, fovea_of
from sam2lora.cohort.inputs import find_records
from sam2lora.datasets import MaskFile, Record
from sam2lora.datasets.ellipses import Landmark
from sam2lora.errors import ImageError


@pytest.fixture
def record(data: Path) -> Record:
    return find_records([data])[0]


def marked(record: Record, file: MaskFile) -> Record:
    return replace(record, masks={"fovea": (file,)})


def test_mark_of_a_dataset_is_the_fovea(record: Record):
    drawn = MaskFile(record.image, "half", drawn=Landmark(3, 4))
    assert fovea_of(marked(record, drawn)) == Fovea(3, 4, "dataset")


def test_file_says_whether_the_network_or_a_hand_placed_it(record: Record, tmp_path: Path):
    path = tmp_path / "a_fovea.json"
    beside = marked(record, MaskFile(path, "half"))
    save_point(path, PointAnnotation(target="fovea", x=3, y=4, confidence=0.5))
    assert fovea_of(beside) == Fovea(3, 4, "predicted", 0.5)
    save_point(path, PointAnnotation(target="fovea", x=3, y=4))
    assert fovea_of(beside) == Fovea(3, 4, "hand")
    path.write_text("[]")
    with pytest.raises(ImageError, match="a_fovea"):
        fovea_of(beside)


def test_mask_of_that_name_marks_no_point(record: Record):
    assert fovea_of(replace(record, masks={"fovea": record.masks["disc"]})) is None
    assert fovea_of(record) is None
