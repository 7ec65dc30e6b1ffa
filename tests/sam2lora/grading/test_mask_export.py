"""One grader's masks in other formats."""

import json
from pathlib import Path

import numpy as np
import pytest

from sam2lora.datasets import read_dataset
from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import GradingSession, Review, SessionGrader, list_sources
from sam2lora.grading.mask_export import export_masks
from sam2lora.images.reading import read_values
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


def test_masks_are_written_in_every_format(
    session: GradingSession, grade: Grade, masks: Eyes, tmp_path: Path
):
    grade("anna", STEMS[:2])
    assert export_masks(tmp_path / "out", Review(session), "anna") == 2
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["p1_left.png", "p1_right.png"]
    assert len(coco["annotations"]) == 4
    labels = read_values(tmp_path / "out" / "label_maps" / "p1_left.png")
    assert set(np.unique(labels)) == {0, 2, 3}
    record = read_dataset(tmp_path / "out" / "dataset").records[0]
    assert record.patient == "p1"
    np.testing.assert_array_equal(record.read_mask("cup"), masks[STEMS[0]]["cup"])


def test_sealed_masks_stay_out(session: GradingSession, grade: Grade, tmp_path: Path):
    grade("anna")
    grade("ben", STEMS[:1])
    both = Review(session)
    assert export_masks(tmp_path / "a", both, "anna", formats=["coco"]) == 1
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["coco.json"]
    own = Review(session, ["anna"])
    assert export_masks(tmp_path / "b", own, "anna", formats=["dataset"], copy=False) == 4
    assert not (tmp_path / "b" / "dataset" / "images").exists()
    with pytest.raises(SessionError, match="eve is not a grader"):
        export_masks(tmp_path / "c", both, "eve")
    with pytest.raises(OutputError, match="lies in the session"):
        export_masks(session.folder / "graders" / "anna", own, "anna")
    with pytest.raises(OutputError, match="has dataset already"):
        export_masks(tmp_path / "b", own, "anna", formats=["dataset"])


def test_grader_without_masks_is_named(session: GradingSession, grade: Grade, tmp_path: Path):
    grade("anna", targets=())
    with pytest.raises(SessionError, match="anna has no masks that may be exported"):
        export_masks(tmp_path / "out", Review(session), "anna")
    assert not (tmp_path / "out").exists()


def test_images_of_one_name_are_told_apart(photos: Path, masks: Eyes, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "p1_left.png").write_bytes((photos / "p1_left.png").read_bytes() + b"\0")
    session = GradingSession.create(tmp_path / "s", list_sources([photos / "p1_left.png", other]))
    with SessionGrader(session, "anna") as grader:
        for image in session.images:
            grader.corrections.save(image.stem, session.path(image.stem), masks["p1_left"])
            grader.set_state(image.stem, "done")
    export_masks(tmp_path / "out", Review(session), "anna")
    coco = json.loads((tmp_path / "out" / "coco.json").read_text())
    names = [image["file_name"] for image in coco["images"]]
    assert names == ["p1_left.png", "p1_left_2.png"]
    assert {path.name for path in (tmp_path / "out/dataset/images").iterdir()} == set(names)
