"""The trainings of one viewer: prepare, start, follow, pause and stop them; install adapters.

Knows no widget. A viewer follows one run at a time; any number may train.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TypeVar

from qtpy.QtCore import QObject, Signal

from napari_sam2lora.qt.background import in_background
from napari_sam2lora.training.data.new_run import TrainingPlan, write_new_run
from napari_sam2lora.training.data.snapshot import labelled_images
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

T = TypeVar("T")

_OCCUPIED = "Training is starting or in progress here. Stop it, or wait until it ends."


class TrainingSession(QObject):
    """The trainings of one viewer.

    Signals
    -------
    busy_changed(busy)
        Whether a run is being written or started.
    prepared(plan, folder)
        The run folder of a plan is written, after `prepare`.
    starting(device)
        A process is about to train on a device; others should free its memory.
    installed(name)
        The best adapter of the run is installed under this name.
    message(text)
        An error for the user.
    """

    busy_changed = Signal(bool)
    prepared = Signal(object, object)
    starting = Signal(str)
    installed = Signal(str)
    message = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.watcher = RunWatcher(self)
        self.watcher.updated.connect(self._on_updated)
        self.watcher.status_changed.connect(self._on_status_changed)
        self.busy = self.is_starting = self._closed = False
        self._seen_alive = False
        self._installed: int | None = None
        self._installing = False
        self._cancelled = Event()  # the job in the background, of which there is one at a time

    @property
    def run(self) -> Path | None:
        """The run that is followed; None if there is none."""
        return self.watcher.run.path if self.watcher.run else None

    @property
    def alive(self) -> bool:
        """Whether the run that is followed is being trained."""
        status = self.watcher.status
        return status is not None and status.alive

    def prepare(self, plan: TrainingPlan) -> None:
        """Write the run folder of a plan, so that a command can train there.

        Does nothing while another run is being written or started.

        Raises
        ------
        Sam2LoraError
            If the plan cannot be trained.
        """

        def written(folder: Path | None) -> None:
            if folder is not None and not self._cancelled.is_set():
                self.prepared.emit(plan, folder)

        if not self.busy:
            self._in_background(self._writer_of(plan), written)

    def start(self, plan: TrainingPlan) -> None:
        """Write the run folder of a plan, and train there.

        Does nothing while another run is being written or started.

        Raises
        ------
        Sam2LoraError
            If the plan cannot be trained, or a training is running here.
        """
        if self.busy:
            return
        if self.alive:
            raise SettingsError(_OCCUPIED)
        write = self._writer_of(plan)
        self.watcher.detach()
        self._start(plan.settings().device, write)

    def resume(self, run: Path) -> None:
        """Continue a run that has ended early, or follow it if it is being trained.

        Raises
        ------
        Sam2LoraError
            If another training is running here.
        """
        if self.busy or (self.alive and run != self.run):
            raise SettingsError(_OCCUPIED)
        self.attach(run)
        if not self.alive:
            self._start(settings_of(run).device, lambda: run)

    def attach(self, run: Path) -> None:
        """Follow a run, whether or not it is being trained."""
        self._follow(run)

    def attach_to_unfinished(self) -> RunSummary | None:
        """Follow the latest run that is alive; else the latest that is unfinished.

        That is one that can be resumed, or one that ended unseen: its best adapter is not
        installed, though an earlier one of it may be.

        Raises
        ------
        SettingsError
            If the folder of the runs cannot be read.
        """
        runs = list_runs(runs_folder())
        alive = next((run for run in runs if run.state in ("running", "paused")), None)
        found = alive or next((run for run in runs if _is_unfinished(run)), None)
        if found is not None:
            self.attach(found.folder)
        return found

    def pause(self) -> None:
        """Pause the run; it keeps its memory.

        Raises
        ------
        SettingsError
            If no run is followed, or it does not train yet.
        OutputError
            If the run folder is gone or cannot be written.
        """
        control = self._control()
        if self.run is not None and self.run.is_dir() and not is_alive(self.run):
            raise SettingsError("Training is still starting. Pause it once the first step is done.")
        control.request("pause")

    def resume_paused(self) -> None:
        """Continue a paused run.

        Raises
        ------
        SettingsError
            If no run is followed.
        OutputError
            If the run folder is gone or cannot be written.
        """
        self._control().clear("pause")

    def stop(self) -> None:
        """Stop the run, and keep what it has; one that has not started yet is cancelled.

        Raises
        ------
        SettingsError
            If no run is followed.
        OutputError
            If the run folder is gone or cannot be written.
        """
        if self.is_starting:
            self._cancelled.set()
        elif not self.watcher.cancel_start():
            self._control().request("stop")

    def install(self) -> None:
        """Install the best adapter of the run, even if it is no better than the initial one."""
        if self.run is not None and not self._installing:
            self._install(self.run, None)

    def release(self) -> None:
        """Follow no run any more; its process continues. One that is being started is cancelled."""
        if self.is_starting:
            self._cancelled.set()
        self.watcher.detach()

    def close(self) -> None:
        """Release the run, and emit nothing from now on."""
        self._closed = True
        self._cancelled.set()
        self.release()

    def _control(self) -> Control:
        if self.watcher.run is None:
            raise SettingsError("No training run is shown.")
        return self.watcher.run.control

    def _follow(self, run: Path, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self._seen_alive, self._installed = False, None
        self.watcher.attach(run, process)

    def _on_status_changed(self, status: RunStatus | None) -> None:
        self._seen_alive = self._seen_alive or (status is not None and status.alive)

    def _on_updated(self, history: RunHistory) -> None:
        """Install each new best adapter, unless it is the initial one.

        A run that is only shown, long after its end, installs nothing.
        """
        run, validations = self.run, history.validations
        if run is None or not validations or not self._seen_alive:
            return
        step = validations[-1].best_step
        unchanged = step == 0 and history.start_dice is not None
        if not (step is None or unchanged or step == self._installed or self._installing):
            self._install(run, step)

    def _install(self, run: Path, step: int | None) -> None:
        """Install the best adapter of a run: that of `step`, or a newer one."""
        self._installing = True

        def install() -> Adapter | None:
            return install_best(run) if settings_of(run).train == "adapter" else None

        def ended() -> None:
            self._installing = False
            if self.run == run:
                self._installed = step
                self._on_updated(self.watcher.history)  # there may be a better one since

        def done(adapter: Adapter | None) -> None:
            if adapter is not None and not self._closed:
                self.installed.emit(adapter.name)

        in_background(self, install, done, self._show_message, ended)

    def _writer_of(self, plan: TrainingPlan) -> Callable[[], Path | None]:
        """Read the layers of a plan now, and return what writes its run folder, on any thread.

        It returns the folder, or None if it was cancelled: then nothing is left of the run.
        """
        folder, settings = plan.new_folder(), plan.settings()
        images = labelled_images(plan.pairs, plan.target)

        def write() -> Path | None:
            write_new_run(folder, settings, images)
            if self._cancelled.is_set():
                delete_run(folder)
                return None
            return folder

        return write

    def _start(self, device: str, find_run: Callable[[], Path | None]) -> None:
        """Start a process in the run folder that `find_run` returns on a worker thread."""

        def start() -> "tuple[Path, subprocess.Popen[bytes]] | None":
            run = find_run()
            return None if run is None or self._cancelled.is_set() else (run, start_process(run))

        def started(result: "tuple[Path, subprocess.Popen[bytes]] | None") -> None:
            if result is not None and self._cancelled.is_set():
                result[1].terminate()  # it was started in the same instant
            elif result is not None:
                self._follow(*result)

        self.is_starting = True
        self.starting.emit(device)
        self._in_background(start, started)

    def _in_background(self, work: Callable[[], T], done: Callable[[T], None]) -> None:
        """Be busy while a worker thread works; `done` gets its result on the main thread."""

        def ended() -> None:
            self.busy = self.is_starting = False
            if not self._closed:
                self.busy_changed.emit(False)

        self._cancelled.clear()
        self.busy = True
        self.busy_changed.emit(True)
        in_background(self, work, done, self._show_message, ended)

    def _show_message(self, error: Sam2LoraError) -> None:
        if not self._closed:
            self.message.emit(str(error))


def _is_unfinished(run: RunSummary) -> bool:
    """Check whether a run can be resumed, or has a better adapter than the installed one."""
    if run.state in ("stopped", "interrupted", "failed"):
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
