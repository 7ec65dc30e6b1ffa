"""The review in the dock: from the name to a consensus on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QFileDialog

from napari_sam2lora.grading import review_controller as module
from napari_sam2lora.grading import starting
from napari_sam2lora.grading.dock import GradeDock
from sam2lora.grading import Adjudicator, GradingSession, SessionGrader

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
    monkeypatch.setattr(starting, "confirm", lambda *_, **__: True)
    dock.start_panel.name.setCurrentText("cleo")
    press(dock, "Review")
    qtbot.waitUntil(lambda: dock.review_panel.table.rowCount() == 3, timeout=WAIT)
    assert "trial: review by cleo" in label_text(dock)
    dock.review_panel.table.cellClicked.emit(0, 0)
    assert "anna in cyan, ben in magenta" in label_text(dock)
    dock.review_panel.take.setCurrentText("anna")
    press(dock, "Take")
    assert dock.review_panel.table.item(0, 5).text() == "anna"
    press(dock, "Edit")
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


@pytest.fixture
def compared(
    graded: GradingSession,
    open_dock: Callable[..., GradeDock],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
) -> GradeDock:
    """Return a dock in which an adjudicator has compared two graders."""
    dock = open_dock(start=False)
    monkeypatch.setattr(starting, "confirm", lambda *_, **__: True)
    dock.start_review("cleo")
    qtbot.waitUntil(lambda: dock.review_panel.table.rowCount() == 3, timeout=WAIT)
    return dock


def test_who_does_not_want_to_adjudicate_sees_nothing(
    graded: GradingSession, open_dock: Callable[..., GradeDock], monkeypatch: pytest.MonkeyPatch
):
    dock = open_dock(start=False)
    monkeypatch.setattr(starting, "confirm", lambda *_, **__: False)
    dock.start_review("cleo")
    assert dock.review.work is None
    dock.start("cleo")
    assert dock.work is not None


def test_who_has_seen_all_masks_cannot_grade(compared: GradeDock, notices: list[str]):
    compared.stop()
    compared.start("Cleo")
    assert compared.work is None
    assert "may have seen all masks" in notices[-1]


def test_outlines_are_those_of_the_table(compared: GradeDock):
    compared.review_panel.second.setCurrentText("anna")  # without another comparison
    compared.review_panel.table.cellClicked.emit(0, 0)
    assert "anna in cyan, ben in magenta" in label_text(compared)


def test_a_mask_that_was_changed_since_is_not_taken(
    compared: GradeDock, graded: GradingSession, notices: list[str]
):
    stem, target = (compared.review_panel.table.item(0, column).text() for column in (0, 1))
    compared.review_panel.table.cellClicked.emit(0, 0)
    with SessionGrader(graded, "anna") as anna:
        path = graded.found_path(stem)
        mask = anna.corrections.masks(stem, compared.review.work.review.shape(stem))[target]
        anna.set_state(stem, "started")
        anna.corrections.save(stem, path, {target: ~mask})
        anna.set_state(stem, "done")
    compared.review_panel.take.setCurrentText("anna")
    compared.review_panel.decide()
    assert "has changed the" in notices[-1]
    assert compared.review.work.choices == {}
    compared.review_panel.table.cellClicked.emit(0, 0)
    compared.review_panel.decide()
    assert compared.review.work.choices == {target: "anna"}


def test_an_adjudicator_whom_another_window_has_only_looks(
    graded: GradingSession,
    open_dock: Callable[..., GradeDock],
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
):
    dock = open_dock(start=False)
    monkeypatch.setattr(module, "confirm", lambda *_, **__: True)
    with Adjudicator(graded, "cleo"):
        dock.start_review("cleo")
        qtbot.waitUntil(lambda: dock.review_panel.table.rowCount() == 3, timeout=WAIT)
        assert dock.review.work.adjudicator is None
        assert not dock.review_panel.take.isVisibleTo(dock)
        dock.review_panel.table.cellClicked.emit(0, 0)
        assert dock.stop()
