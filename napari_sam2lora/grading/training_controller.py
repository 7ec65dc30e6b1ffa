"""Joins the panel about training while labelling with the trainings of a grader."""

from collections.abc import Callable

from qtpy.QtCore import QObject

from napari_sam2lora.grading.background_training import BackgroundTraining
from napari_sam2lora.grading.grading_controller import GradingController
from napari_sam2lora.grading.training_panel import TrainingPanel


class TrainingController(QObject):
    """Trains, or stops training, as the panel says and images are finished.

    Parameters
    ----------
    training
        The trainings.
    panel
        The switch, the target, and the number of images.
    grading
        What the grader does.
    note
        Adds a message to those of the dock.
    """

    def __init__(
        self,
        training: BackgroundTraining,
        panel: TrainingPanel,
        grading: GradingController,
        note: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._training, self._panel, self._grading, self._note = training, panel, grading, note
        grading.finished.connect(self._consider)
        panel.changed.connect(self._on_changed)
        panel.undo_requested.connect(self._on_undo)
        training.adapter_changed.connect(self.show_undo)
        training.said.connect(self._on_said)

    def show_undo(self) -> None:
        """Show whether there is something to undo."""
        work = self._grading.work
        can = work is not None and self._training.can_undo(work, self._target)
        self._panel.show_undo(can)

    @property
    def _target(self) -> str:
        return str(self._panel.target.currentText())

    def _consider(self, *_: object) -> None:
        """Start a training if it is switched on, and enough images are done."""
        work = self._grading.work
        if work is not None and self._panel.switch.isChecked():
            self._training.consider(work, self._target, self._panel.every.value())

    def _on_changed(self) -> None:
        self.show_undo()
        if self._panel.switch.isChecked():
            self._consider()
        else:
            self._training.stop()

    def _on_undo(self) -> None:
        if self._grading.work is not None:
            self._training.undo(self._grading.work, self._target)

    def _on_said(self, text: str) -> None:
        self._panel.message.setText(text)
        self._note(text)
