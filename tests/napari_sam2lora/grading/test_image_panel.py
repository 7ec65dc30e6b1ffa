"""What a grader says of an image is emitted once, and shown."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QInputDialog

from napari_sam2lora.grading.image_panel import KEYS, ImagePanel
from sam2lora.grading import ImageGrade

from ..helpers import press


@pytest.fixture
def panel(qtbot: QtBot) -> ImagePanel:
    panel = ImagePanel()
    qtbot.addWidget(panel)
    panel.show_grade(ImageGrade(quality="partly", comment="dark"), writable=True)
    return panel


def emitted(panel: ImagePanel, name: str) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    getattr(panel, name).connect(lambda *values: found.append(values))
    return found


def test_no_two_keys_are_the_same():
    assert len(set(KEYS.values())) == len(KEYS)


def test_states_are_chosen(panel: ImagePanel, monkeypatch: pytest.MonkeyPatch):
    states = emitted(panel, "state_chosen")
    press(panel, "Done")
    press(panel, "Skip")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: (" two discs ", True))
    press(panel, "Flag…")
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("", True))
    press(panel, "Flag…")
    assert states == [("done", ""), ("skipped", ""), ("flagged", "two discs")]


def test_only_what_is_settled_is_reopened(panel: ImagePanel):
    states = emitted(panel, "state_chosen")
    press(panel, "Reopen")
    panel.show_grade(ImageGrade(state="skipped"), writable=True)
    press(panel, "Reopen")
    assert states == [("started", "")]


def test_the_same_quality_again_takes_it_back(panel: ImagePanel):
    chosen = emitted(panel, "quality_chosen")
    press(panel, "Partly")
    press(panel, "Ungradable")
    assert chosen == [(None,), ("no",)]


def test_other_images_are_asked_for(panel: ImagePanel):
    back, following = emitted(panel, "back_requested"), emitted(panel, "next_requested")
    press(panel, "Back")
    press(panel, "Next")
    assert (len(back), len(following)) == (1, 1)


def test_read_only_changes_nothing(panel: ImagePanel):
    panel.show_grade(ImageGrade(), writable=False)
    states, qualities = emitted(panel, "state_chosen"), emitted(panel, "quality_chosen")
    panel.finish()
    panel.flag()
    panel.toggle_quality("no")
    assert (states, qualities) == ([], [])
    assert not panel.comment.isEnabled()


def test_a_comment_is_entered_when_its_line_is_left(panel: ImagePanel, qtbot: QtBot):
    assert panel.comment.text() == "dark"
    typed, entered = emitted(panel, "comment_typed"), emitted(panel, "comment_entered")
    panel.comment.setText("")
    qtbot.keyClicks(panel.comment, "ok ")
    panel.comment.editingFinished.emit()
    assert typed[-1] == ("ok ",)
    assert entered == [("ok",)]
