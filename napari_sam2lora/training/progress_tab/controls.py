"""The buttons of a run: pause or go on, stop, resume."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QWidget

from napari_sam2lora.qt.widgets import button
from sam2lora.runs import RunStatus


class RunControls(QWidget):
    """What can be asked of a run as it stands.

    Signals
    -------
    pause(), go_on(), stop(), resume(), install()
        The user asks for it.
    """

    pause = Signal()
    resume_paused = Signal()
    stop = Signal()
    resume = Signal()
    install = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._paused = False
        self._pause = button("Pause", self._on_pause, tip="It waits, and keeps its memory.")
        self._stop = button(
            "Stop and keep the best",
            self.stop.emit,
            tip="It ends after this step. The best adapter stays, and it can be resumed.",
        )
        self._resume = button("Resume", self.resume.emit, tip="Go on after the last checkpoint.")
        self._install = button(
            "Install adapter",
            self.install.emit,
            tip="Put its best adapter among yours, to be used.",
        )
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for one in (self._pause, self._stop, self._resume, self._install):
            layout.addWidget(one)
        self.show_status(None)

    def show_status(self, status: RunStatus | None, *, to_install: bool = False) -> None:
        """Offer what can be asked now.

        Parameters
        ----------
        status
            How the run stands; None without one.
        to_install
            Whether it has an adapter that is not among the user's own.
        """
        alive = status is not None and status.alive
        self._paused = status is not None and status.state == "paused"
        self._pause.setText("Go on" if self._paused else "Pause")
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
