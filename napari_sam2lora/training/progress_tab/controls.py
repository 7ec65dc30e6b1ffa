"""The buttons of a run: pause or continue, stop, resume, install."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam2lora.qt.widgets import button
from sam2lora.runs import RunStatus


class RunControls(QWidget):
    """Buttons for what a run can do in its current state.

    Signals
    -------
    pause(), resume_paused(), stop(), resume(), install()
        The user pressed the button.
    """

    pause = Signal()
    resume_paused = Signal()
    stop = Signal()
    resume = Signal()
    install = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._paused = False
        self._pause = button("Pause", self._on_pause, tip="Pause; the memory stays in use.")
        self._stop = button(
            "Stop, keep best",
            self.stop.emit,
            tip="Stop after this step. The best adapter is kept, and the training can be resumed.",
        )
        self._resume = button("Resume", self.resume.emit, tip="Continue after the last checkpoint.")
        self._install = button(
            "Install adapter",
            self.install.emit,
            tip="Install the best adapter of this run, so that it can be used.",
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._pause, self._stop, self._resume, self._install):
            layout.addWidget(widget)
        self.show_status(None)

    def show_status(self, status: RunStatus | None, *, to_install: bool = False) -> None:
        """Show the buttons for what the run can do now.

        Parameters
        ----------
        status
            How the run stands; None without one.
        to_install
            Whether it has an adapter that is not among the user's own.
        """
        alive = status is not None and status.alive
        self._paused = status is not None and status.state == "paused"
        self._pause.setText("Continue" if self._paused else "Pause")
        self._pause.setEnabled(alive)
        self._stop.setEnabled(alive)
        self._pause.setVisible(alive)
        self._stop.setVisible(alive)
        ended_early = status is not None and status.ended_early
        state = None if status is None else status.state
        self._resume.setVisible(ended_early or state == "new")
        self._install.setVisible(to_install and (ended_early or state == "finished"))

    def _on_pause(self) -> None:
        if self._paused:
            self.resume_paused.emit()
        else:
            self.pause.emit()
