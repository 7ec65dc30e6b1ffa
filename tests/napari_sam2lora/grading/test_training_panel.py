"""Training while labelling is off until it is switched on."""

from pytestqt.qtbot import QtBot

from napari_sam2lora.grading.training_panel import TrainingPanel

from ..helpers import press


def test_choices_and_undo_are_emitted(qtbot: QtBot):
    panel = TrainingPanel()
    qtbot.addWidget(panel)
    assert not panel.switch.isChecked()
    panel.show_targets(["vessel", "disc"])
    asked: list[str] = []
    panel.changed.connect(lambda: asked.append("changed"))
    panel.undo_requested.connect(lambda: asked.append("undo"))
    press(panel, "Undo")
    panel.switch.click()
    panel.every.setValue(8)
    panel.show_undo(True)
    press(panel, "Undo")
    assert asked == ["changed", "changed", "undo"]


def test_choices_are_explained(qtbot: QtBot):
    panel = TrainingPanel()
    qtbot.addWidget(panel)
    assert panel.target.toolTip() == "Target to train"
    assert panel.every.toolTip() == "Train again after this many newly finished images"
    assert "higher validation score is used from then on" in panel.switch.toolTip()
