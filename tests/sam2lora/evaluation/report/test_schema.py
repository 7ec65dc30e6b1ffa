"""Reading a report: a damaged one is named, and so is what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest

from sam2lora.errors import ReportError
from sam2lora.evaluation import EvaluateSettings, Report, read_report
from sam2lora.evaluation.report.schema import ImageEntry, PromptEntry, numbers_or_none
from sam2lora.targets import TARGETS


def make(**fields: Any) -> Report:
    usual = {
        "made": "2026-01-02T03:04:05Z",
        "command": "sam2lora evaluate",
        "versions": {},
        "machine": {},
        "settings": EvaluateSettings(target="vessel"),
        "target": TARGETS["vessel"],
        "conventions": "as usual",
        "data": (),
        "models": (),
        "cells": (),
        "images": (),
    }
    return Report.model_validate(usual | fields)


def write(folder: Path, text: str) -> Path:
    (folder / "report.json").write_text(text, encoding="utf-8")
    return folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    prompts = PromptEntry(points=((1.5, 2, True), (3, 4, False)), box=(0, 1, 2, 3))
    entry = ImageEntry(
        model="m", dataset="d", image="眼", regime="5p1n", status="scored", prompts=prompts
    )
    report = make(images=(entry,))
    assert read_report(write(tmp_path, report.to_json())) == report


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"report\.json: is truncated or no JSON"),
        ("[1, 2]", r"report\.json: is no report"),
        ("{}", r"report\.json: is no report \(made"),
        ('{"format": 2}', "has format 2, this version reads 1. Update"),
        (make().to_json().replace('"vessel"', '"no name "'), "is no report"),
    ],
)
def test_a_damaged_report_is_named_with_what_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ReportError, match=said):
        read_report(write(tmp_path, text))


def test_a_missing_report_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"nothing.report\.json: cannot be read.*evaluate --out"):
        read_report(tmp_path / "nothing")


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    content = json.loads(make().to_json()) | {"extra": 1}
    with pytest.raises(ReportError, match="extra"):
        read_report(write(tmp_path, json.dumps(content)))


def test_undefined_is_null_and_not_nan(tmp_path: Path) -> None:
    assert numbers_or_none([1.0, float("nan")]) == (1.0, None)
    entry = {"model": "m", "dataset": "d", "image": "i", "regime": "none", "status": "scored"}
    report = make(images=({**entry, "scores": {"hd95": None}},))
    assert '"hd95": null' in report.to_json()
    row = report.to_csv().splitlines()[1]
    assert row.startswith("m,d,i,,none,scored,,,")
