"""The review in the dock: from the name to a consensus on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog

from napari_sam2lora.grading.dock import GradeDock
from sam2lora.grading import GradingSession

from ..helpers import label_text, press
from .conftest import WAIT

pytestmark = pytest.mark.viewer


def test_review_compares_decides_and_writes(
    graded: GradingSession,
    open_dock: Callable[..., GradeDock],
    qtbot: QtBot,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    dock = open_dock(start=False)
    dock.start_panel.name.setCurrentText("cleo")
    press(dock, "Review")
    qtbot.waitUntil(lambda: dock.review_panel.table.rowCount() == 3, timeout=WAIT)
    assert "trial: review by cleo" in label_text(dock)
    dock.review_panel.table.cellClicked.emit(0, 0)
    assert "anna in cyan, ben in magenta" in label_text(dock)
    dock.review_panel.take.setCurrentText("anna")
    press(dock, "Take")
    assert dock.review_panel.table.item(0, 5).text() == "anna"
    press(dock, "Paint")
    assert "Paint in the mask" in label_text(dock)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "out"))
    press(dock, "Consensus…")
    qtbot.waitUntil(lambda: "Consensus:" in label_text(dock), timeout=WAIT)
    assert (tmp_path / "out/trial consensus/dataset.csv").is_file()
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "report"))
    press(dock, "Report…")
    assert (tmp_path / "report/agreement.md").is_file()
    press(dock, "Close session")
    assert dock.review.work is None
    assert len(dock._viewer.layers) == 0
    dock.start_panel.name.setCurrentText("cleo")
    press(dock, "Review")
    qtbot.waitUntil(lambda: dock.review_panel.table.rowCount() == 3, timeout=WAIT)
    assert dock.review_panel.table.item(0, 5).text() == "anna", "it is remembered"
    assert dock.stop()


def test_a_name_that_cannot_review_is_refused(
    session: GradingSession, open_dock: Callable[..., GradeDock], notices: list[str]
):
    dock = open_dock(start=False)
    dock.start_review("cleo")
    assert dock.review.work is None
    assert "nobody has graded" in notices[-1]
