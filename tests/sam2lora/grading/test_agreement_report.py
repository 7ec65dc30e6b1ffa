"""The report of an agreement: text, tables and a plot, written whole."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets.csv_dataset import read_rows
from sam2lora.errors import OutputError
from sam2lora.grading import GradingSession, Review, SessionGrader
from sam2lora.grading.agreement import Agreement, compare_graders
from sam2lora.grading.agreement_report import write_agreement
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


@pytest.fixture
def agreement(session: GradingSession, grade: Grade, masks: Eyes) -> Agreement:
    """Return an agreement in which the cups of two images differ."""
    grade("anna")
    grade("ben", STEMS[:3])
    with SessionGrader(session, "ben") as grader:
        for stem, less in zip(STEMS, (1, 3), strict=False):
            cup = masks[stem]["cup"].copy()
            cup[: np.flatnonzero(cup.any(axis=1))[0] + less] = False
            grader.corrections.save(stem, session.found_path(stem), {"cup": cup})
    return compare_graders(Review(session), "anna", "ben")


def test_report_has_all_numbers(agreement: Agreement, tmp_path: Path):
    names = write_agreement(tmp_path / "out", agreement)
    assert sorted(names) == sorted(path.name for path in (tmp_path / "out").iterdir())
    text = (tmp_path / "out" / "agreement.md").read_text()
    for part in ("# Agreement of anna and ben", "| cup | 3 |", "Bland", "| done | to do | 1 |"):
        assert part in text
    data = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert data["limits"]["n"] == 3
    assert data["quality_kappa"] is None
    assert data["states"][0] == {"first": "done", "second": "to do", "images": 1}
    rows = [row for _, row in read_rows(tmp_path / "out" / "agreement.csv")]
    values = [float(row["dice"]) for row in rows]
    assert len(rows) == 6
    assert values == sorted(values)
    assert rows[0]["target"] == "cup"
    ratios = [row for _, row in read_rows(tmp_path / "out" / "ratios.csv")]
    assert float(ratios[1]["difference"]) > 0
    with Image.open(tmp_path / "out" / "bland_altman.png") as picture:
        assert picture.width > 400


def test_only_an_agreement_is_replaced(agreement: Agreement, tmp_path: Path):
    write_agreement(tmp_path / "out", agreement)
    write_agreement(tmp_path / "out", agreement)
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not an agreement"):
        write_agreement(tmp_path / "out", agreement)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputError, match="is not an agreement"):
        write_agreement(tmp_path / "file", agreement)


def test_without_ratios_there_is_no_plot(session: GradingSession, grade: Grade, tmp_path: Path):
    for name in ("anna", "ben"):
        grade(name, STEMS[:1], targets=("disc",))
    found = compare_graders(Review(session), "anna", "ben")
    assert "bland_altman.png" not in write_agreement(tmp_path / "out", found)
    assert "Bland" not in (tmp_path / "out" / "agreement.md").read_text()
