"""A session is written with what a grader may see."""

from pathlib import Path

import pytest

from napari_sam2lora.grading.exporting import export_session
from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import GradingSession, SessionGrader

from ..conftest import disk


def test_table_and_masks_are_written(graded: GradingSession, tmp_path: Path):
    text = export_session(graded, tmp_path / "out", "anna")
    assert "masks of 3 images" in text
    table = (tmp_path / "out/session.csv").read_text(encoding="utf-8")
    assert table.count("\n") == 7
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}
    with pytest.raises(OutputError, match=r"has coco\.json, label_maps, dataset already"):
        export_session(graded, tmp_path / "out", "anna")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_without_masks_the_table_is_written(session: GradingSession, tmp_path: Path):
    with pytest.raises(SessionError, match="nobody has graded"):
        export_session(session, tmp_path / "none", "anna")
    with SessionGrader(session, "anna") as anna:
        anna.corrections.save("eye1", session.path("eye1"), {"disc": disk(9)})
        anna.set_state("eye1", "started")
    assert "no masks that may be exported" in export_session(session, tmp_path / "out", "anna")
    assert (tmp_path / "out/session.json").is_file()
    with pytest.raises(OutputError):
        export_session(session, session.folder, "anna")
