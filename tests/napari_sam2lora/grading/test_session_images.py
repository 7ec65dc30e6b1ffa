"""An image of a session is shown with its patient, eye and split, without masks of its dataset."""

from pathlib import Path

import pytest

from napari_sam2lora.grading.session_images import image_file
from sam2lora.errors import ImageError
from sam2lora.grading import GradingSession, list_sources


def test_patient_eye_and_split_are_those_of_the_session(drive: Path, tmp_path: Path):
    table = tmp_path / "images.csv"
    image = drive / "test/images/01_test.tif"
    table.write_text(f"image,patient,eye,dataset\n{image},p7,OD,DRIVE\n", encoding="utf-8")
    session = GradingSession.create(tmp_path / "trial", list_sources([table]))
    record = image_file(session, session.images[0].stem).record
    assert (record.patient, record.eye, record.dataset, record.split, record.masks) == (
        "p7",
        "right",
        "DRIVE",
        "test",
        {},
    )
    assert record.read_image().eye == "right"
    image.unlink()
    with pytest.raises(ImageError, match="not there"):
        image_file(session, session.images[0].stem)
