"""The trainings of one viewer: begun, followed, paused, stopped, and their results installed.

Knows no widget. A viewer follows one run at a time; any number may train.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event

from qtpy.QtCore import QObject, Signal

from napari_sam2lora.qt.background import in_background
from napari_sam2lora.training.data.new_run import TrainingPlan, plan_run
from napari_sam2lora.training.run.history import RunHistory
from napari_sam2lora.training.run.process import start_process
from napari_sam2lora.training.run.watcher import RunWatcher
from sam2lora.adapters import Adapter, install_best, is_best_installed
from sam2lora.errors import AdapterError, Sam2LoraError, SettingsError
from sam2lora.runs import (
    Control,
    RunFolder,
    RunStatus,
    RunSummary,
    delete_run,
    is_alive,
    list_runs,
    runs_folder,
)
from sam2lora.training.settings import TrainSettings, validate_settings


class TrainingSession(QObject):
    """What a viewer trains.

    Signals
    -------
    preparing(busy)
        Images are being copied, or no longer.
    starting(device)
        A process is about to train there: who holds memory of it should let go.
    installed(name)
        The best adapter of the run is among the user's own, under this name.
    message(words)
        Something the user should read.
    """

    preparing = Signal(bool)
    starting = Signal(str)
    installed = Signal(str)
    message = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.watcher = RunWatcher(self)
        self.watcher.updated.connect(self._on_grew)
        self.watcher.status_changed.connect(self._on_status_changed)
        self.busy = self._closed = False
        self._seen_alive = False
        self._installed: int | None = None
        self._installing = False
        self._called_off = Event()  # what is being prepared; each has one of its own

    @property
    def run(self) -> Path | None:
        """The run that is followed."""
        return self.watcher.run.path if self.watcher.run else None

    @property
    def alive(self) -> bool:
        """Whether the run that is followed is being trained."""
        status = self.watcher.status
        return status is not None and status.alive

    def start(self, draft: TrainingPlan) -> None:
        """Copy what is ticked, and begin to train.

        Raises
        ------
        Sam2LoraError
            If something is wrong with what was chosen.
        """
        if self.busy:
            return
        if self.alive:
            raise SettingsError("A training is running here. Stop it, or wait until it ends.")
        planned = plan_run(draft)
        self.watcher.detach()
        self.starting.emit(planned.settings.device)

        called_off = self._called_off = Event()

        def prepare() -> "subprocess.Popen[bytes] | None":
            folder = planned.write()
            if called_off.is_set():
                delete_run(folder)
                return None
            return start_process(folder)

        self._prepare(planned.folder, prepare)

    def resume(self, run: Path) -> None:
        """Go on with a run that has ended early, or follow it if it is being trained.

        Raises
        ------
        Sam2LoraError
            If another training is running here.
        """
        if self.busy or (self.alive and run != self.run):
            raise SettingsError("A training is running here. Stop it, or wait until it ends.")
        self.attach(run)
        if not self.alive:
            self.starting.emit(settings_of(run).device)
            called_off = self._called_off = Event()
            self._prepare(run, lambda: None if called_off.is_set() else start_process(run))

    def attach(self, run: Path) -> None:
        """Show a run, whether or not it is being trained."""
        self._follow(run)

    def attach_to_unfinished(self) -> RunSummary | None:
        """Follow the latest run that is alive; else show the latest that is not done with.

        That is one that could go on, or one that ended unseen: its best adapter is not installed,
        though an earlier one of it may be.

        Raises
        ------
        SettingsError
            If the folder of the runs cannot be read.
        """
        runs = list_runs(runs_folder())
        alive = next((one for one in runs if one.status.alive), None)
        found = alive or next((one for one in runs if _is_not_done_with(one)), None)
        if found is not None:
            self.attach(found.folder)
        return found

    def pause(self) -> None:
        """Ask the run to wait; it keeps its memory.

        Raises
        ------
        SettingsError
            If no run is shown, or it does not train yet.
        OutputError
            If the run folder is gone or cannot be written.
        """
        control = self._control()
        if self.run is not None and self.run.is_dir() and not is_alive(self.run):
            raise SettingsError("It is still starting. Pause it once it trains.")
        control.request("pause")

    def resume_paused(self) -> None:
        """Let a paused run go on.

        Raises
        ------
        OutputError
            As `pause`.
        """
        self._control().clear("pause")

    def stop(self) -> None:
        """Ask the run to end; what it has is kept. One that has not begun is called off.

        Raises
        ------
        SettingsError
            If no run is shown.
        OutputError
            If the run folder is gone or cannot be written.
        """
        if self.busy:
            self._called_off.set()
        elif not self.watcher.cancel_start():
            self._control().request("stop")

    def install(self) -> None:
        """Put the best adapter of the run among the user's own, though it may be no better."""
        if self.run is not None and not self._installing:
            self._install(self.run, None)

    def release(self) -> None:
        """Show no run any more; its process goes on. What is only being prepared is called off."""
        self._called_off.set()
        self.watcher.detach()

    def close(self) -> None:
        """Let go, for good."""
        self._closed = True
        self.release()

    def _control(self) -> Control:
        if self.watcher.run is None:
            raise SettingsError("No training is shown.")
        return self.watcher.run.control

    def _follow(self, run: Path, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self._seen_alive, self._installed = False, None
        self.watcher.attach(run, process)

    def _on_status_changed(self, status: RunStatus | None) -> None:
        self._seen_alive = self._seen_alive or (status is not None and status.alive)

    def _on_grew(self, history: RunHistory) -> None:
        """Install each new best adapter, unless it is the one the run started from.

        A run that is only looked at, long after its end, installs nothing.
        """
        run, validations = self.run, history.validations
        if run is None or not validations or not self._seen_alive:
            return
        step = validations[-1].best_step
        unchanged = step == 0 and history.start_dice is not None
        if not (step is None or unchanged or step == self._installed or self._installing):
            self._install(run, step)

    def _install(self, run: Path, step: int | None) -> None:
        """Install what is the best of a run now: at least that of `step`."""
        self._installing = True

        def install() -> Adapter | None:
            return install_best(run) if settings_of(run).train == "adapter" else None

        def ended() -> None:
            self._installing = False
            if self.run == run:
                self._installed = step
                self._on_grew(self.watcher.history)  # there may be a better one since

        def done(adapter: Adapter | None) -> None:
            if adapter is not None and not self._closed:
                self.installed.emit(adapter.name)

        in_background(self, install, done, self._show_message, ended)

    def _prepare(self, run: Path, work: "Callable[[], subprocess.Popen[bytes] | None]") -> None:
        """Let a worker start a process, then follow it."""
        called_off = self._called_off

        def done(process: "subprocess.Popen[bytes] | None") -> None:
            if process is not None and called_off.is_set():
                process.terminate()  # it was begun in the same instant
            elif process is not None and not self._closed:
                self._follow(run, process)

        def ended() -> None:
            self.busy = False
            if not self._closed:
                self.preparing.emit(False)

        self.busy = True
        self.preparing.emit(True)
        in_background(self, work, done, self._show_message, ended)

    def _show_message(self, error: Sam2LoraError) -> None:
        if not self._closed:
            self.message.emit(str(error))


def _is_not_done_with(run: RunSummary) -> bool:
    """Tell whether a run could go on, or ended better than what of it is installed."""
    if run.status.ended_early:
        return True
    if run.state != "finished" or run.best is None:
        return False
    try:
        return not is_best_installed(run.folder)
    except AdapterError:
        return False  # it made a base model, or the adapter is gone: there is nothing to install


def settings_of(run: Path) -> TrainSettings:
    """Read the settings of a run.

    Raises
    ------
    SettingsError
        If they are missing or damaged.
    """
    return validate_settings(RunFolder(run).read_settings())
