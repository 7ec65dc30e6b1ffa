"""The report folder of a point."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.errors import ReportError
from sam2lora.evaluation import EvaluateSettings, EvaluationPart, plan_parts
from sam2lora.evaluation.points import PointResult
from sam2lora.evaluation.report.point_report import PointReport
from sam2lora.evaluation.report.point_writer import write_point_report
from sam2lora.evaluation.report.schema import ModelEntry

SETTINGS = EvaluateSettings(target="fovea")


@pytest.fixture
def part(eyes: Path, tmp_path: Path) -> EvaluationPart:
    (tmp_path / "eyes").symlink_to(eyes)
    rows = "eyes,p00_left,fovea,80,64,,\neyes,p01_left,fovea,80,60,,\n"
    (tmp_path / "own.csv").write_text("dataset,image,structure,cx,cy,rx,ry\n" + rows)
    (part,) = plan_parts([tmp_path / "own.csv"], SETTINGS)
    return part


@pytest.fixture
def write(part: EvaluationPart, tmp_path: Path) -> Callable[..., PointReport]:
    def report(*results: PointResult) -> PointReport:
        model = ModelEntry(name="m", kind="adapter")
        of_part = [(model, part, iter(results))]
        about = {"command": "sam2lora evaluate", "device": "cpu", "precision": "float32"}
        return write_point_report(tmp_path / "out", of_part, SETTINGS, **about)

    return report


def test_report_has_a_table_a_text_and_a_picture_of_every_image(
    write: Callable[..., PointReport], tmp_path: Path
) -> None:
    good = PointResult(
        *("eyes", "p00_left", "p00"),
        reference=(80.0, 64.0),
        found=(20.0, 64.0),
        confidence=0.7,
        error=60.0,
        disc=40.0,
        disc_source="predicted",
    )
    report = write(good, PointResult("eyes", "p01_left", "p01", problem="too dark"))
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "overview.png",
        "per_image.csv",
        "points.json",
        "report.md",
    ]
    assert PointReport.model_validate(json.loads((out / "points.json").read_text())) == report
    rows = list(csv.DictReader((out / "per_image.csv").open(encoding="utf-8")))
    assert [row["error_px"] for row in rows] == ["60.0", ""]
    assert rows[0]["error_discs"] == "1.5"
    assert (rows[0]["x"], rows[0]["reference_x"], rows[0]["disc"]) == ("20.0", "80.0", "predicted")
    assert rows[1]["problem"] == "too dark"
    text = (out / "report.md").read_text()
    assert "| m | own | 1 | 60.0 | 1.500 | 1.500 | 1.500 | 0.000 |" in text
    assert "p01_left: too dark" in text
    assert "Dice" not in text
    picture = np.asarray(Image.open(out / "overview.png")).reshape(-1, 3).tolist()
    assert [0x3C, 0xB4, 0x4B] in picture  # the reference
    assert [0x42, 0xD4, 0xF4] in picture  # the fovea
    write(good)  # replaces it


def test_nothing_is_written_without_a_score(
    write: Callable[..., PointReport], tmp_path: Path
) -> None:
    with pytest.raises(ReportError, match="too dark"):
        write(PointResult("eyes", "p00_left", "p00", problem="too dark"))
    assert not (tmp_path / "out").exists()
