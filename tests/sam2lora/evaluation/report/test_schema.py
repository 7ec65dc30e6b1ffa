"""Reading reports: round trip, and errors for damaged ones."""

import json
from pathlib import Path

import pytest

from sam2lora.errors import ReportError
from sam2lora.evaluation import read_report
from sam2lora.evaluation.report.schema import ImageEntry, PromptEntry, numbers_or_none

from ..conftest import make_report


def write(folder: Path, text: str) -> Path:
    (folder / "report.json").write_text(text, encoding="utf-8")
    return folder


def test_report_is_read_back_as_written(tmp_path: Path) -> None:
    prompts = PromptEntry(points=((1.5, 2, True), (3, 4, False)), box=(0, 1, 2, 3))
    entry = ImageEntry(
        model="m", dataset="d", image="眼", regime="5p1n", status="scored", prompts=prompts
    )
    report = make_report(images=(entry,))
    assert read_report(write(tmp_path, report.to_json())) == report


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"report\.json: is truncated or not JSON"),
        ("[1, 2]", r"report\.json: is not a JSON object"),
        ("[" * 100_000, r"report\.json: is nested deeper than 100 levels"),
        ("{}", r"report\.json: is not a report \(made"),
        ('{"format": 2}', "has format 2, this version reads 1. Update"),
        (make_report().to_json().replace('"vessel"', '"no name "'), "is not a report"),
    ],
)
def test_damaged_report_is_named_with_the_problem(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ReportError, match=message):
        read_report(write(tmp_path, text))


def test_error_on_missing_report_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        ReportError, match=r"nothing.report\.json: there is no such .*evaluate --out"
    ):
        read_report(tmp_path / "nothing")


def test_unknown_field_is_refused(tmp_path: Path) -> None:
    content = json.loads(make_report().to_json()) | {"extra": 1}
    with pytest.raises(ReportError, match="extra"):
        read_report(write(tmp_path, json.dumps(content)))


def test_undefined_values_are_written_as_null(tmp_path: Path) -> None:
    assert numbers_or_none([1.0, float("nan")]) == (1.0, None)
    entry = {"model": "m", "dataset": "d", "image": "i", "regime": "none", "status": "scored"}
    report = make_report(images=({**entry, "scores": {"hd95": None}},))
    assert '"hd95": null' in report.to_json()
    row = report.to_csv().splitlines()[1]
    assert row.startswith("m,d,i,,none,scored,,,")
