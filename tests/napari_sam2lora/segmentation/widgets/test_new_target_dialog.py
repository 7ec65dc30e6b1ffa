"""A target of the user's own."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog

from napari_sam2lora.segmentation.widgets.new_target_dialog import NewTargetDialog
from sam2lora.targets import get_target

from ...segmentation_window import Window, pick, press

pytestmark = pytest.mark.viewer


def test_it_is_kept_with_a_label_of_its_own(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(QColorDialog, "getColor", lambda *_: QColor("#102030"))
    dialog = NewTargetDialog()
    qtbot.addWidget(dialog)
    dialog.name.setText("drusen")
    pick(dialog.input_mode, "tiles")
    press(dialog, "#911eb4")
    dialog.accept()
    assert dialog.target == get_target("drusen")
    assert (dialog.target.label, dialog.target.color) == (4, "#102030")
    assert dialog.target.detail == "tiles"
    assert not dialog.target.convex


def test_it_may_have_the_form_of_a_disc(qtbot: QtBot):
    dialog = NewTargetDialog()
    qtbot.addWidget(dialog)
    dialog.name.setText("macula")
    dialog.convex.setChecked(True)
    dialog.accept()
    assert get_target("macula").convex


@pytest.mark.parametrize(
    ("name", "words"), [("disc", "already"), ("Big Name", "lower-case"), ("", "lower-case")]
)
def test_what_cannot_be_is_said_and_asked_again(qtbot: QtBot, name: str, words: str):
    dialog = NewTargetDialog()
    qtbot.addWidget(dialog)
    dialog.name.setText(name)
    dialog.accept()
    assert dialog.target is None
    assert words in dialog.message.text()


def test_the_dock_goes_on_with_it(window: Window, monkeypatch: pytest.MonkeyPatch):
    def fill_in(dialog: NewTargetDialog) -> int:
        dialog.name.setText("drusen")
        dialog.accept()
        return 1

    monkeypatch.setattr(NewTargetDialog, "exec", fill_in)
    press(window.dock, "New…")
    assert window.session.target.name == "drusen"
    assert window.dock.targets.targets.currentData() == "drusen"
    window.segment()
    assert window.preview("drusen").visible
