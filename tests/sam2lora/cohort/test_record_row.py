"""The row of one image."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sam2lora import __version__
from sam2lora.annotations.points import PointAnnotation, save_point
from sam2lora.cohort.inputs import find_records
from sam2lora.cohort.record_row import COLUMNS, Provenance, digest_of, reason_of, row_of_record
from sam2lora.datasets import MaskFile
from sam2lora.datasets.ellipses import Landmark
from sam2lora.errors import ImageError
from sam2lora.measurements import measure_eye


def test_row_says_what_the_image_is_and_what_it_measures(data: Path):
    record = find_records([data])[0]
    row = row_of_record(record)
    assert set(row) <= set(COLUMNS)
    assert row["file"] == record.image.as_posix()
    assert (row["patient"], row["eye"], row["version"]) == ("p00", "left", __version__)
    assert (row["width_px"], row["height_px"], row["field"]) == (128, 128, "circle")
    masks = {name: record.read_mask(name) for name in ("disc", "vessel")}
    field = record.read_field_of_view()
    expected = measure_eye(masks, field, eye="left").values
    assert {name: row[name] for name in expected} == expected
    assert "error" not in row


def test_fovea_of_the_dataset_gives_distance_and_side(data: Path):
    record = find_records([data])[0]
    disc = record.read_mask("disc")
    rows, columns = np.nonzero(disc)
    place = Landmark(float(columns.mean() - 40), float(rows.mean()))
    drawn = replace(record.masks["disc"][0], drawn=place)
    marked = replace(record, masks={**record.masks, "fovea": (drawn,)})
    row = row_of_record(marked)
    assert row["disc_fovea_distance_px"] == pytest.approx(40, abs=0.1)
    assert (row["fovea_x_px"], row["fovea_y_px"]) == (place.x, place.y)
    assert (row["fovea_source"], row["fovea_confidence"]) == ("dataset", None)
    masked = replace(record, masks={**record.masks, "fovea": record.masks["disc"]})
    assert "error" not in row_of_record(masked)


def test_fovea_beside_the_masks_is_used(data: Path, tmp_path: Path):
    record = find_records([data])[0]
    path = tmp_path / "x_fovea.json"
    save_point(path, PointAnnotation(target="fovea", x=60, y=64, confidence=0.75))
    fovea = MaskFile(path, "half", target="fovea")
    known = replace(record, masks={**record.masks, "fovea": (fovea,)})
    row = row_of_record(known)
    assert (row["fovea_x_px"], row["fovea_y_px"], row["fovea_source"]) == (60, 64, "predicted")
    assert row["fovea_confidence"] == 0.75
    assert digest_of(known) != digest_of(record)
    path.write_text("{}")
    assert "x_fovea.json: is not a point" in str(row_of_record(known)["error"])


def test_confidence_of_a_mask_is_in_the_row(data: Path):
    record = find_records([data])[0]
    sure = replace(record.masks["disc"][0], confidence=0.25)
    row = row_of_record(replace(record, masks={**record.masks, "disc": (sure,)}))
    assert (row["disc_confidence"], row["vessel_confidence"]) == (0.25, None)


def test_row_of_a_broken_image_has_the_reason(data: Path):
    record = find_records([data])[0]
    record.image.write_bytes(b"")
    row = row_of_record(record)
    assert "empty" in str(row["error"])
    assert str(record.image) not in str(row["error"])
    assert row["patient"] == "p00"
    assert "vessel_density" not in row


def test_defect_is_named_as_one(data: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sam2lora.cohort.record_row.measure_eye", lambda *_, **__: 1 / 0)
    row = row_of_record(find_records([data])[0])
    assert "defect of this program (ZeroDivisionError: division by zero)" in str(row["error"])


def test_reason_is_without_the_path():
    path = Path("a.png")
    assert reason_of(path, ImageError("a.png: is broken.")) == "is broken."
    missing = FileNotFoundError(2, "No such file or directory", "a.png")
    assert reason_of(path, missing) == "cannot be read (No such file or directory)."


def test_digest_changes_with_image_and_masks_alone(data: Path):
    record = find_records([data])[0]
    before = digest_of(record)
    assert digest_of(replace(record, patient="x")) == before
    assert digest_of(replace(record, masks={"disc": record.masks["disc"]})) != before
    mask = record.masks["disc"][0].path
    mask.write_bytes(mask.read_bytes() + b"\0")
    assert digest_of(record) != before


def test_provenance_is_in_the_row(data: Path):
    used = Provenance(
        *("nano", "ab", {"disc": ("d", "cd")}, "--tta"),
        iou={"disc": np.float64(0.5)},
        confidence={"disc": 0.12345},
    )
    row = row_of_record(find_records([data])[0], provenance=used)
    assert (row["model"], row["model_sha256"], row["predict_options"]) == ("nano", "ab", "--tta")
    assert (row["disc_adapter"], row["disc_adapter_sha256"]) == ("d", "cd")
    assert (row["disc_predicted_iou"], row["disc_confidence"]) == (0.5, 0.123)
