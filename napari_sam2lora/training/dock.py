"""Train: fine-tune an adapter on the images in the viewer, in a process of its own."""

from pathlib import Path

from napari.utils.notifications import show_error
from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QSize, QTimer, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QMessageBox, QTabWidget, QVBoxLayout, QWidget

from napari_sam2lora.qt.close_guard import CloseGuard
from napari_sam2lora.qt.dock_protocol import free_gpu, use_adapter
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.progress_tab.tab import ProgressTab
from napari_sam2lora.training.run.session import TrainingSession
from napari_sam2lora.training.runs_tab.tab import RunsTab
from napari_sam2lora.training.settings_tab.tab import SettingsTab
from napari_sam2lora.training.setup_tab.tab import SetupTab
from sam2lora.errors import Sam2LoraError
from sam2lora.runs import RunStatus

TITLE = "Train (SAM2-LoRA fundus)"
"""What napari calls the dock."""

_WIDTH = 400  # pixels
_KEEP, _STOP, _STAY = "Keep running", "Stop and keep the best", "Cancel"
_CALL_OFF = "Call it off"
_RUNS = "A training is running. What shall become of it?"
_STARTS = "A training is about to begin. Nothing has been learned yet."
_DETACHED = "It does not need napari: opened again, this dock finds it."


class TrainDock(QWidget):
    """Trains adapters, and shows how they become better.

    Parameters
    ----------
    napari_viewer
        Its viewer; another viewer has trainings of its own.

    Signals
    -------
    installed(name)
        An adapter was trained that is better than what it started from; it can be used.
    starting(device)
        A training is about to start there.
    """

    installed = Signal(str)
    starting = Signal(str)

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__()
        self._viewer = napari_viewer
        self._closing = CloseGuard(self, lambda: self._may_close(can_stay=True))
        self._answered = QTimer(self)  # active while the window closes that was just asked about
        self._answered.setSingleShot(True)
        self._answered.setInterval(0)
        self.session = TrainingSession(self)
        self.train_tab = SetupTab(napari_viewer)
        self.run_tab = ProgressTab(self.session)
        self.form = SettingsTab()
        self.runs_tab = RunsTab(napari_viewer)
        self.tabs = QTabWidget()
        for title, tab in (
            ("Train", self.train_tab),
            ("Progress", self.run_tab),
            ("Advanced", self.form),
            ("Runs", self.runs_tab),
        ):
            self.tabs.addTab(tab, title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tabs)
        self.train_tab.train.connect(self.train)
        self.train_tab.choices.changed.connect(self._on_choices)
        self.form.changed.connect(self.train_tab.set_changes)
        self.session.preparing.connect(self._on_status_changed)
        self.session.watcher.status_changed.connect(self._on_status_changed)
        self.session.message.connect(show_error)
        self.session.installed.connect(self._on_installed)
        self.session.starting.connect(self._on_begins)
        self.runs_tab.show_run.connect(self.show_run)
        self.runs_tab.moved.connect(self._on_moved)
        self._on_choices()
        with show_user_errors():
            self.session.attach_to_unfinished()
            if self.session.alive:
                self.tabs.setCurrentWidget(self.run_tab)

    def train(self, draft: TrainingPlan) -> None:
        """Begin a training, and show it."""
        with show_user_errors():
            self.session.start(draft)
            self.tabs.setCurrentWidget(self.run_tab)

    def show_run(self, folder: Path) -> None:
        """Show a run; unless another one is being trained here, which goes on being shown."""
        if self.session.alive and self.session.run != folder:
            show_error("A training is running here. Stop it, or wait until it ends.")
            return
        self.session.attach(folder)
        self.tabs.setCurrentWidget(self.run_tab)

    def sizeHint(self) -> QSize:
        """Ask for little width: the picture is what matters, and all parts fit."""
        return QSize(_WIDTH, super().sizeHint().height())

    def showEvent(self, event: QShowEvent) -> None:
        """Watch the main window, to ask before it closes."""
        super().showEvent(event)
        self._closing.refresh()

    def changeEvent(self, event: QEvent) -> None:
        """Ask, and let go of the viewer, when the dock is taken out of the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._may_close(can_stay=False)
            self.session.close()
            self.train_tab.close_down()
            self._closing.release()

    def _may_close(self, *, can_stay: bool) -> bool:
        """Ask what becomes of a running training; tell whether to go on with closing.

        The run is followed until the dock is gone: something else may keep the window open.
        """
        if self._answered.isActive():
            return True
        starting = self.session.busy
        if starting and not can_stay:
            self.session.stop()
        if not self.session.alive and not (starting and can_stay):
            return True
        box = QMessageBox(self)
        box.setWindowTitle(TITLE)
        box.setText(_STARTS if starting else _RUNS)
        box.setInformativeText("" if starting else _DETACHED)
        keep = None if starting else box.addButton(_KEEP, QMessageBox.ButtonRole.AcceptRole)
        words = _CALL_OFF if starting else _STOP
        stop = box.addButton(words, QMessageBox.ButtonRole.DestructiveRole)
        stay = box.addButton(_STAY, QMessageBox.ButtonRole.RejectRole) if can_stay else None
        box.setDefaultButton(keep or stay)
        box.exec()
        answer = box.clickedButton()
        if answer is stop:
            with show_user_errors():
                self.session.stop()
        leaves = answer is not None and answer in (keep, stop)
        if leaves:
            self._answered.start()
        return leaves

    def _on_choices(self) -> None:
        """Show the settings of what is chosen, with the user's changes."""
        try:
            draft = self.train_tab.draft()
            plain = TrainingPlan(draft.target, draft.model, draft.preset, draft.start_from)
            self.form.show_settings(plain.settings())
        except Sam2LoraError as error:
            show_error(str(error))

    def _on_status_changed(self, _: RunStatus | bool | None) -> None:
        busy = self.session.busy
        self.train_tab.set_busy(
            busy or self.session.alive, "Copying the images…" if busy else "Train"
        )

    def _on_begins(self, device: str) -> None:
        free_gpu(self._viewer, device)
        self.starting.emit(device)

    def _on_installed(self, name: str) -> None:
        self.train_tab.refresh_adapters()
        use_adapter(self._viewer, name)
        self.installed.emit(name)

    def _on_moved(self, before: Path, after: Path | None) -> None:
        """Follow a run that is called otherwise; let go of one that was deleted."""
        if self.session.run == before:
            if after is None:
                self.session.release()
            else:
                self.session.attach(after)
