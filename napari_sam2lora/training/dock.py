"""Train: fine-tune an adapter on the images in the viewer, in a process of its own."""

from pathlib import Path

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, Signal
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QMessageBox, QTabWidget, QVBoxLayout

from napari_sam2lora.qt.close_guard import CloseGuard
from napari_sam2lora.qt.dock import Dock
from napari_sam2lora.qt.dock_protocol import free_gpu, use_adapter
from napari_sam2lora.qt.focus import FocusGuard
from napari_sam2lora.qt.notifications import notify, show_user_errors
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.progress_tab.tab import ProgressTab
from napari_sam2lora.training.run.session import TrainingSession
from napari_sam2lora.training.runs_tab.tab import RunsTab
from napari_sam2lora.training.settings_tab.tab import SettingsTab
from napari_sam2lora.training.setup_tab.tab import SetupTab
from sam2lora.errors import Sam2LoraError

TITLE = "Train (SAM2-LoRA fundus)"
"""What napari calls the dock."""

_WIDTH = 440  # pixels
_KEEP, _STOP, _CANCEL = "Keep running", "Stop, keep best", "Cancel"
_CANCEL_START = "Cancel training"
_RUNNING = "Training is still in progress. Keep it running?"
_STARTING = "Training is starting. Nothing has been learned yet."
_DETACHED = "It does not need napari: open this dock again to follow it."


class TrainDock(Dock):
    """Trains adapters, and shows how they improve.

    Parameters
    ----------
    napari_viewer
        The viewer of the dock; each viewer has its own trainings.

    Signals
    -------
    installed(name)
        An adapter was trained that is better than the initial one; it can be used.
    starting(device)
        A training is about to start there.
    """

    installed = Signal(str)
    starting = Signal(str)

    def __init__(self, napari_viewer: Viewer) -> None:
        super().__init__(napari_viewer, width=_WIDTH)
        self._viewer = napari_viewer
        self._closing = CloseGuard(self, lambda: self._may_close(can_stay=True))
        self.session = TrainingSession(self)
        self.setup_tab = SetupTab(napari_viewer)
        self.progress_tab = ProgressTab(self.session)
        self.settings_tab = SettingsTab()
        self.runs_tab = RunsTab(napari_viewer)
        self.tabs = QTabWidget()
        for title, tab in (
            ("Train", self.setup_tab),
            ("Progress", self.progress_tab),
            ("Advanced", self.settings_tab),
            ("Runs", self.runs_tab),
            ("Messages", self.messages),
        ):
            self.tabs.addTab(tab, title)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.tabs)
        FocusGuard(self)
        self.setup_tab.train.connect(self.train)
        self.setup_tab.command.prepare.connect(self._on_prepare)
        self.setup_tab.options.changed.connect(self._on_options)
        self.settings_tab.changed.connect(self.setup_tab.set_changes)
        self.session.busy_changed.connect(self._on_status)
        self.session.watcher.status_changed.connect(self._on_status)
        self.session.prepared.connect(self.setup_tab.show_prepared)
        self.session.message.connect(self._on_message)
        self.session.installed.connect(self._on_installed)
        self.session.starting.connect(self._on_starting)
        self.runs_tab.show_run.connect(self.show_run)
        self.runs_tab.moved.connect(self._on_moved)
        self._on_options()
        with show_user_errors(self):
            self.session.attach_to_unfinished()
            if self.session.alive:
                self.tabs.setCurrentWidget(self.progress_tab)

    def train(self, plan: TrainingPlan) -> None:
        """Start a training, and show it."""
        with show_user_errors(self):
            self.session.start(plan)
            self.tabs.setCurrentWidget(self.progress_tab)

    def show_run(self, folder: Path) -> None:
        """Show a run, unless another one is being trained here: that one stays shown."""
        if self.session.alive and self.session.run != folder:
            notify("Training is in progress here. Stop it, or wait until it ends.", self)
            return
        self.session.attach(folder)
        self.tabs.setCurrentWidget(self.progress_tab)

    def showEvent(self, event: QShowEvent) -> None:
        """Watch the main window, to ask before it closes."""
        super().showEvent(event)
        self._closing.refresh()

    def changeEvent(self, event: QEvent) -> None:
        """Ask, and disconnect from the viewer, when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self._may_close(can_stay=False)
            self.session.close()
            self.setup_tab.close_down()
            self._closing.release()

    def _may_close(self, *, can_stay: bool) -> bool:
        """Ask what to do with a running training, and return whether the window may close.

        The run is followed until the dock is gone: something else may keep the window open.
        """
        if self._closing.agreed.isActive():
            return True
        starting = self.session.is_starting
        if starting and not can_stay:
            self.session.stop()
        if not self.session.alive and not (starting and can_stay):
            return True
        box = QMessageBox(self)
        box.setWindowTitle(TITLE)
        box.setText(_STARTING if starting else _RUNNING)
        box.setInformativeText("" if starting else _DETACHED)
        keep = None if starting else box.addButton(_KEEP, QMessageBox.ButtonRole.AcceptRole)
        stop = box.addButton(
            _CANCEL_START if starting else _STOP, QMessageBox.ButtonRole.DestructiveRole
        )
        stay = box.addButton(_CANCEL, QMessageBox.ButtonRole.RejectRole) if can_stay else None
        box.setDefaultButton(keep or stay)
        box.exec()
        clicked = box.clickedButton()
        if clicked is stop:
            with show_user_errors(self):
                self.session.stop()
        closes = clicked is not None and clicked in (keep, stop)
        if closes:
            self._closing.agreed.start()
        return closes

    def _on_message(self, text: str) -> None:
        notify(text, self)

    def _on_options(self) -> None:
        """Show the settings of the chosen options, with the user's changes."""
        try:
            plan = self.setup_tab.plan()
            unchanged = TrainingPlan(plan.target, plan.model, plan.preset, plan.start_from)
            self.settings_tab.show_settings(unchanged.settings())
        except Sam2LoraError as error:
            notify(str(error), self)

    def _on_prepare(self, plan: TrainingPlan) -> None:
        with show_user_errors(self):
            self.session.prepare(plan)

    def _on_status(self, _: object) -> None:
        self.setup_tab.show_state(busy=self.session.busy, training=self.session.alive)

    def _on_starting(self, device: str) -> None:
        free_gpu(self._viewer, device)
        self.starting.emit(device)

    def _on_installed(self, name: str) -> None:
        self.setup_tab.refresh_adapters()
        use_adapter(self._viewer, name)
        self.installed.emit(name)

    def _on_moved(self, before: Path, after: Path | None) -> None:
        """Follow a run that was renamed; release one that was deleted."""
        if self.session.run == before:
            if after is None:
                self.session.release()
            else:
                self.session.attach(after)
