"""The run that is followed: progress, buttons, curves and previews."""

from pathlib import Path

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam2lora.qt.dock import scrolling
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.qt.widgets import Paragraph, column
from napari_sam2lora.training.progress_tab.controls import RunControls
from napari_sam2lora.training.progress_tab.curves import Curves
from napari_sam2lora.training.progress_tab.previews import ValidationPreviews
from napari_sam2lora.training.progress_tab.status import RunProgressView
from napari_sam2lora.training.run.history import RunHistory
from napari_sam2lora.training.run.session import TrainingSession, settings_of
from sam2lora.adapters import is_best_installed
from sam2lora.errors import AdapterError, Sam2LoraError
from sam2lora.runs import RunStatus

_STARTING = "Starting…"
_PAUSES, _STOPS = "Pausing after this step…", "Stopping after this step…"
_REDRAW = 1000  # milliseconds between drawings of the curves, which cost more the longer they are


class ProgressTab(QWidget):
    """Shows the run a session follows, and passes the buttons on to it.

    Parameters
    ----------
    session
        Session whose run is shown.
    """

    def __init__(self, session: TrainingSession) -> None:
        super().__init__()
        self._session = session
        self._every: int | None = None
        self._drawn: Path | None = None
        self.title = Paragraph()
        self.progress = RunProgressView()
        self.buttons = RunControls()
        self.curves = Curves()
        self.previews = ValidationPreviews()
        self._message = Paragraph()
        content = column(
            *(self.title, self.progress, self._message, self.curves, self.previews),
            stretch=self.curves,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scrolling(content), stretch=1)
        layout.addWidget(column(self.buttons))
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REDRAW)
        self._timer.timeout.connect(self._draw)
        session.watcher.updated.connect(self._on_updated)
        session.watcher.status_changed.connect(self._on_status_changed)
        session.installed.connect(self._on_installed)
        session.starting.connect(self._on_starting)
        session.busy_changed.connect(self._on_busy)
        self.buttons.pause.connect(self._on_pause)
        self.buttons.resume_paused.connect(self._on_resume_paused)
        self.buttons.stop.connect(self._on_stop)
        self.buttons.resume.connect(self._on_resume)
        self.buttons.install.connect(session.install)
        self._draw()

    def _on_updated(self, history: RunHistory) -> None:
        if not self._timer.isActive():
            self._timer.start(0 if self._drawn != self._session.run else _REDRAW)

    def _on_status_changed(self, status: RunStatus | None) -> None:
        if self._message.text() in (_PAUSES, _STOPS):
            self._message.setText("")  # it has
        self._draw()

    def _draw(self) -> None:
        run, watcher = self._session.run, self._session.watcher
        if run != self._drawn:
            self._drawn, self._every = run, _validates_every(run)
            self._message.setText("")
        self.title.setText(run.name if run else "")
        self.progress.show_run(watcher.status, watcher.history, self._every)
        to_install = bool(watcher.history.validations)
        if run and to_install and watcher.status and not watcher.status.alive:
            to_install = not _is_installed(run)
        self.buttons.show_status(watcher.status, to_install=to_install)
        self.buttons.setVisible(run is not None)
        history = watcher.history
        self.curves.show_run(
            history.losses(), history.dice(), history.start_dice, measure=history.measure
        )
        pictures = [(event.step, run / event.path) for event in history.previews] if run else []
        self.previews.show_pictures(pictures)

    def _on_starting(self, device: str) -> None:
        self._message.setText(_STARTING)

    def _on_busy(self, busy: bool) -> None:
        if not busy and self._message.text() == _STARTING:
            self._message.setText("")

    def _on_installed(self, name: str) -> None:
        self._draw()  # it cannot be installed again
        self._message.setText(f"The best adapter so far is installed as {name}, and can be used.")

    def _on_pause(self) -> None:
        with show_user_errors(self):
            self._session.pause()
            self._message.setText(_PAUSES)

    def _on_resume_paused(self) -> None:
        with show_user_errors(self):
            self._session.resume_paused()
            self._message.setText("")

    def _on_stop(self) -> None:
        with show_user_errors(self):
            self._session.stop()
            self._message.setText(_STOPS)

    def _on_resume(self) -> None:
        with show_user_errors(self):
            if self._session.run is not None:
                self._session.resume(self._session.run)


def _is_installed(run: Path) -> bool:
    try:
        return is_best_installed(run)
    except AdapterError:  # there is none, as installing will report
        return False


def _validates_every(run: Path | None) -> int | None:
    """Return the steps between validations of a run; None if its settings cannot be read."""
    if run is None:
        return None
    try:
        return settings_of(run).validation.every
    except Sam2LoraError:
        return None
