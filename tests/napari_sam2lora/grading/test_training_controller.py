"""The panel switches training on and off, and undoes it."""

from types import SimpleNamespace

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.grading.training_controller import TrainingController
from napari_sam2lora.grading.training_panel import TrainingPanel

from ..helpers import press


class Training(QObject):
    """Stands in for the trainings; remembers what it was asked for."""

    said = Signal(str)
    adapter_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[object, ...]] = []
        self.undoable = False

    def consider(self, *arguments: object) -> None:
        self.calls.append(("consider", *arguments))

    def undo(self, *arguments: object) -> None:
        self.calls.append(("undo", *arguments))

    def stop(self) -> None:
        self.calls.append(("stop",))

    def can_undo(self, work: object, target: str) -> bool:
        return self.undoable


class Grading(QObject):
    """Stands in for what the grader does."""

    finished = Signal(str)
    work: object = SimpleNamespace()


@pytest.fixture
def parts(qtbot: QtBot) -> tuple[Training, TrainingPanel, Grading, list[str], TrainingController]:
    training, panel, grading, notes = Training(), TrainingPanel(), Grading(), []
    qtbot.addWidget(panel)
    panel.show_targets(["disc", "cup"])
    controller = TrainingController(training, panel, grading, notes.append)
    return training, panel, grading, notes, controller


def test_finished_images_are_learned_from_while_the_switch_is_on(parts):
    training, panel, grading, _, _ = parts
    grading.finished.emit("eye1")
    assert training.calls == []
    panel.switch.click()
    grading.finished.emit("eye2")
    assert training.calls == [("consider", grading.work, "disc", panel.every.value())] * 2
    panel.switch.click()
    assert training.calls[-1] == ("stop",)
    grading.finished.emit("eye3")
    assert len(training.calls) == 3


def test_undo_is_for_the_target_shown(parts):
    training, panel, grading, _, _ = parts
    training.undoable = True
    training.adapter_changed.emit()
    press(panel, "Undo")
    assert training.calls == [("undo", grading.work, "disc")]
    grading.work = None
    training.adapter_changed.emit()
    assert not next(
        one for one in panel.children() if getattr(one, "text", str)() == "Undo"
    ).isEnabled()


def test_what_is_said_is_shown_and_noted(parts):
    training, panel, _, notes, _ = parts
    training.said.emit("Training on 5 images.")
    assert panel.message.text() == notes[0] == "Training on 5 images."
