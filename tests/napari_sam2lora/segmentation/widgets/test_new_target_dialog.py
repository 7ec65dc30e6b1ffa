"""Adding a target."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QColorDialog

from napari_sam2lora.segmentation.widgets.new_target_dialog import NewTargetDialog
from sam2lora.targets import get_target

from ...helpers import pick, press


def test_new_target_is_stored_with_its_own_label(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch):
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


def test_new_target_can_be_convex(qtbot: QtBot):
    dialog = NewTargetDialog()
    qtbot.addWidget(dialog)
    dialog.name.setText("macula")
    dialog.convex.setChecked(True)
    dialog.accept()
    assert get_target("macula").convex
    assert get_target("macula").inside is None


def test_new_target_can_lie_in_another(qtbot: QtBot):
    dialog = NewTargetDialog()
    qtbot.addWidget(dialog)
    dialog.name.setText("rim")
    pick(dialog.inside, "disc")
    dialog.accept()
    assert get_target("rim").inside == "disc"


@pytest.mark.parametrize(
    ("name", "message"), [("disc", "already"), ("Big Name", "lower-case"), ("", "lower-case")]
)
def test_invalid_name_is_explained(qtbot: QtBot, name: str, message: str):
    dialog = NewTargetDialog()
    qtbot.addWidget(dialog)
    dialog.name.setText(name)
    dialog.accept()
    assert dialog.target is None
    assert message in dialog.message.text()
