"""What the dock's parts ask for is done, and said."""

from collections.abc import Callable

import numpy as np
import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.grading import grading_controller as module
from napari_sam2lora.grading.dock import GradeDock
from sam2lora.errors import SessionError
from sam2lora.grading import SessionGrader

from .conftest import WAIT, mask_layer, paint

pytestmark = pytest.mark.viewer


def test_finished_images_are_announced(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    finished: list[str] = []
    dock.grading.finished.connect(finished.append)
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    dock.panel.finish()
    dock.panel.skip()
    assert finished == ["eye1"]


def test_back_goes_through_what_was_shown(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    for stem in ("eye3", "eye2"):
        dock.grading.go(stem)
    dock.grading.go_back()
    assert dock.work.stem == "eye3"
    dock.grading.go_back()
    assert dock.work.stem == "eye1"
    dock.grading.go_back()
    assert dock.work.stem == "eye1"


def test_a_name_that_cannot_be_used_starts_nothing(open_dock: Callable[..., GradeDock]):
    dock = open_dock(start=False)
    with pytest.raises(SessionError):
        dock.grading.begin(dock.opener.session, "majority", "Grade")
    assert dock.work is None


def test_an_image_that_cannot_be_read_is_passed_over(
    open_dock: Callable[..., GradeDock], notices: list[str]
):
    dock = open_dock()
    dock.work.session.path("eye2").unlink()
    dock.grading.go_on()
    assert dock.work.stem == "eye3"
    assert "Passed over" in notices[0]
    assert "eye2" in notices[0]
    dock.grading.go_on()
    assert dock.work.stem == "eye1"
    dock.panel.finish()
    assert dock.work.stem == "eye3"
    assert dock.work.grader.grade("eye1").done


@pytest.mark.parametrize("agrees", [True, False])
def test_an_image_that_cannot_be_read_can_be_flagged(
    open_dock: Callable[..., GradeDock], monkeypatch: pytest.MonkeyPatch, agrees: bool
):
    dock = open_dock()
    dock.work.session.path("eye2").write_bytes(b"other")
    monkeypatch.setattr(module, "confirm", lambda *_, **__: agrees)
    dock.grading.go("eye2")
    assert dock.work.stem == "eye1"
    grade = dock.work.grader.grade("eye2")
    assert (grade.state, "not the file that was added" in grade.reason) == (
        ("flagged", True) if agrees else ("to do", False)
    )


def test_nothing_can_be_said_after_the_session_is_closed(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    dock.stop()
    assert not dock.panel.isEnabled()


def unsaved(dock: GradeDock, qtbot: QtBot, stem: str) -> None:
    """Leave a stroke that is not saved, as a killed process does."""
    dock.grading.go(stem)
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    qtbot.waitUntil(dock.work.grader.recovery.path.exists, timeout=WAIT)
    dock.grading.end(save=False)
    dock._viewer.layers.clear()


def test_unsaved_work_on_a_missing_image_is_offered_once_that_is_there_again(
    open_dock: Callable[..., GradeDock],
    qtbot: QtBot,
    notices: list[str],
    monkeypatch: pytest.MonkeyPatch,
):
    dock = open_dock()
    unsaved(dock, qtbot, "eye2")
    path = dock.opener.session.path("eye2")
    away = path.rename(path.with_name("away"))
    monkeypatch.setattr(module, "wants_back", lambda *_: True)
    dock.start("anna")
    assert dock.work.stem == "eye1"
    assert "offered at the next start" in notices[0]
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    dock.stop()
    away.rename(path)
    dock.start("anna")
    assert dock.work.stem == "eye2"
    assert mask_layer(dock._viewer, dock.work.shown.path).data.sum() == 4
    assert not dock.work.grader.recovery.aside()
    assert dock.work.grader.recovery.path.exists(), "still not saved"
    dock.stop()


def test_what_does_not_fit_stays_on_disk(
    open_dock: Callable[..., GradeDock], notices: list[str], monkeypatch: pytest.MonkeyPatch
):
    dock = open_dock(start=False)
    with SessionGrader(dock.opener.session, "anna") as grader:
        grader.recovery.write("eye1", notes={}, arrays={"drusen.now": np.ones((2, 2), np.uint8)})
    monkeypatch.setattr(module, "wants_back", lambda *_: True)
    dock.start("anna")
    assert "do not fit: drusen" in notices[0]
    dock.grading.save()
    dock.grading.go("eye2")
    (file,) = dock.work.grader.recovery.aside()
    assert "drusen.now" in file.read().arrays
    dock.stop()
    monkeypatch.setattr(module, "wants_back", lambda *_: False)
    dock.start("anna")
    assert not dock.work.grader.recovery.aside()
