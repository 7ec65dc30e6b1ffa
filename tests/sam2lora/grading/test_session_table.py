"""The table of a session: states, times and numbers, these not before all are done."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sam2lora.datasets.csv_dataset import read_rows
from sam2lora.errors import OutputError
from sam2lora.grading import GradingSession, PredictionEntry, Review, SessionGrader, WorkEntry
from sam2lora.grading.session_table import COLUMNS, write_session_table
from tests.sam2lora.grading.helpers import STEMS, Grade


def test_rows_are_of_images_and_graders(session: GradingSession, grade: Grade, tmp_path: Path):
    grade("anna")
    grade("ben", STEMS[:1], shift=2)
    start = datetime(2030, 1, 1, tzinfo=UTC)
    with SessionGrader(session, "anna") as grader:
        grader.set_comment(STEMS[0], "=1+1")
        grader.set_quality(STEMS[0], "partly")
        grader.set_quality(STEMS[1], "no")
        grader.set_comment(STEMS[1], "cup of 0.8")
        grader.write(WorkEntry(image=STEMS[0], start=start, end=start + timedelta(seconds=90)))
        grader.write(
            PredictionEntry(image=STEMS[0], target="disc", model="nano", adapter="nano-disc")
        )
    table, document = write_session_table(tmp_path, Review(session))
    rows = [row for _, row in read_rows(table)]
    assert tuple(rows[0]) == COLUMNS
    assert [(row["stem"], row["grader"]) for row in rows[:3]] == [
        (STEMS[0], "anna"),
        (STEMS[0], "ben"),
        (STEMS[1], "anna"),
    ]
    first, second, sealed = rows[:3]
    assert (first["state"], first["quality"], first["minutes"]) == ("done", "partly", "1.5")
    assert first["predicted_by"] == "disc: nano-disc (nano)"
    assert table.read_text().splitlines()[1].count("'=1+1") == 1
    assert 0 < float(first["vertical_cup_disc_ratio"]) < 1
    assert float(first["disc_area_px"]) > 0
    assert second["state"] == "done"
    assert (sealed["state"], sealed["vertical_cup_disc_ratio"]) == ("done", "")
    assert (sealed["quality"], sealed["comment"]) == ("", "")
    assert "cup of 0.8" not in document.read_text()
    read = json.loads(document.read_text())
    assert read["graders"] == ["anna", "ben"]
    assert read["rows"][0]["work"] == [
        {"start": "2030-01-01T00:00:00+00:00", "end": "2030-01-01T00:01:30+00:00"}
    ]
    assert read["rows"][2]["work"] == []


def test_image_that_cannot_be_measured_says_why(
    session: GradingSession, grade: Grade, tmp_path: Path
):
    grade("anna")
    session.path(STEMS[0]).unlink()
    table, _ = write_session_table(tmp_path, Review(session))
    first, second, *_ = (row for _, row in read_rows(table))
    assert first["error"].startswith("the image is not there")
    assert (second["error"], second["eye"]) == ("", "right")
    plain, _ = write_session_table(tmp_path, Review(session), numbers=False)
    assert {row["disc_area_px"] for _, row in read_rows(plain)} == {""}


def test_session_is_not_written_over(session: GradingSession, grade: Grade):
    grade("anna", STEMS[:1])
    before = (session.folder / "session.json").read_bytes()
    for out in (session.folder, session.folder / "images"):
        with pytest.raises(OutputError, match="lies in the session"):
            write_session_table(out, Review(session))
    assert (session.folder / "session.json").read_bytes() == before
    assert not (session.folder / "images").exists()
