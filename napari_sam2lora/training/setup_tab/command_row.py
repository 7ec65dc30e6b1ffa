"""The command that trains the same, and the button that writes its run folder and copies it."""

from pathlib import Path

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QWidget

from napari_sam2lora.qt.widgets import button
from napari_sam2lora.training.data.new_run import TrainingPlan


class CommandRow(QWidget):
    """Shows the command of a plan; its run folder is asked for once, until something changes.

    Signals
    -------
    prepare(plan)
        The user wants the run folder of the plan, and the command that trains there.
    """

    prepare = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._plan = TrainingPlan()
        self._copied: object = None  # what was copied last; None if a layer has changed since
        self._run: Path | None = None  # its run folder, once that is written
        self.text = QLineEdit()
        self.text.setReadOnly(True)
        self.text.setToolTip("The command that does the same, once its run folder is written.")
        self._copy = button(
            "Copy as command",
            self._on_copy,
            tip="Write the images and masks as they are now into the run folder, and copy the "
            "command that trains there.",
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addWidget(self._copy)

    def show_plan(self, plan: TrainingPlan) -> None:
        """Show the command of a plan.

        Raises
        ------
        SettingsError
            If a setting is out of its range.
        """
        self._plan = plan
        self.show_text(plan.command(self._run_of(plan)))

    def show_text(self, text: str) -> None:
        """Show a command, or the error for which there is none."""
        self.text.setText(text)
        self.text.setCursorPosition(0)

    def show_prepared(self, plan: TrainingPlan, run: Path) -> None:
        """Show and copy the command that trains a plan in the run folder written for it."""
        self._run = run
        self.show_text(plan.command(run))
        QGuiApplication.clipboard().setText(self.text.text())
        show_info(f"{run.name} is written, and the command that trains it is copied.")

    def mark_changed(self) -> None:
        """Ask for a new run folder the next time: a layer has changed."""
        self._copied = None

    def set_busy(self, busy: bool) -> None:
        """Disable the button while a run is being written or started."""
        self._copy.setEnabled(not busy)

    def _on_copy(self) -> None:
        run = self._run_of(self._plan)
        if run is not None:
            self.show_prepared(self._plan, run)
            return
        self._copied, self._run = (self._plan.name, self._plan.choices()), None
        self.prepare.emit(self._plan)

    def _run_of(self, plan: TrainingPlan) -> Path | None:
        """Return the run folder that was copied for this plan, if it still exists."""
        same = self._copied == (plan.name, plan.choices())
        return self._run if same and self._run is not None and self._run.is_dir() else None
