"""The trainings of one viewer: begun, followed, paused, stopped, and their results installed.

Knows no widget. A viewer follows one run at a time; any number may train.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.training.child import start_child
from napari_sam2lora.training.draft import Draft
from napari_sam2lora.training.history import History
from napari_sam2lora.training.snapshot import loads_of, write_run
from napari_sam2lora.training.watcher import Standing, Watcher
from sam2lora.adapters import Adapter, import_adapter, is_installed
from sam2lora.errors import Sam2LoraError, SettingsError
from sam2lora.runs import Control, RunFolder, RunSummary, list_runs, new_run_folder, runs_folder
from sam2lora.training.settings import TrainSettings, validate_settings


class TrainingSession(QObject):
    """What a viewer trains.

    Signals
    -------
    preparing(busy)
        Images are being copied, or no longer.
    begins(device)
        A process is about to train there: who holds memory of it should let go.
    installed(name)
        The best adapter of the run is among the user's own, under this name.
    said(words)
        Something the user should read.
    """

    preparing = Signal(bool)
    begins = Signal(str)
    installed = Signal(str)
    said = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.watcher = Watcher(self)
        self.watcher.grew.connect(self._on_grew)
        self.watcher.stood.connect(self._on_stood)
        self.busy = False
        self._seen_alive = False
        self._installed: int | None = None

    @property
    def run(self) -> Path | None:
        """The run that is followed."""
        return self.watcher.run.path if self.watcher.run else None

    @property
    def alive(self) -> bool:
        """Whether the run that is followed is being trained."""
        standing = self.watcher.standing
        return standing is not None and standing.alive

    def start(self, draft: Draft) -> None:
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
        if not draft.pairs:
            raise SettingsError("Tick at least one image with labels.")
        settings = draft.settings()
        if settings.freeze_encoder and settings.start_from is None:
            raise SettingsError(
                f"Quick adapt goes on from an adapter, and there is none of {draft.target} on "
                f"{draft.model}. Choose the preset Standard."
            )
        folder = new_run_folder(runs_folder(), draft.run_name())
        if is_installed(folder.name):
            raise SettingsError(
                f"An adapter called {folder.name!r} is there already, and would be replaced. "
                "Choose another name."
            )
        loads = loads_of(draft.pairs, draft.target)
        self.watcher.detach()
        self.begins.emit(settings.device)

        def prepare() -> "tuple[Path, subprocess.Popen[bytes]]":
            write_run(folder, settings.model_dump_json(indent=2), loads)
            return folder, start_child(folder)

        self._work(prepare, lambda made: self._follow(*made))

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
            self.begins.emit(settings_of(run).device)
            self._work(lambda: start_child(run), lambda process: self._follow(run, process))

    def attach(self, run: Path) -> None:
        """Show a run, whether or not it is being trained."""
        self._follow(run)

    def attach_to_unfinished(self) -> RunSummary | None:
        """Follow the latest run that is alive; else give the latest that could go on.

        Raises
        ------
        SettingsError
            If the folder of the runs cannot be read.
        """
        runs = list_runs(runs_folder())
        alive = next((one for one in runs if one.state in ("running", "paused")), None)
        if alive is not None:
            self.attach(alive.folder)
            return alive
        return next((one for one in runs if one.state in ("stopped", "interrupted")), None)

    def pause(self) -> None:
        """Ask the run to wait; it keeps its memory.

        Raises
        ------
        OutputError
            If the run folder is gone or cannot be written.
        """
        self._control().request("pause")

    def go_on(self) -> None:
        """Let a paused run go on; one whose process is gone is started again.

        Raises
        ------
        OutputError
            As `pause`.
        """
        self._control().clear("pause")

    def stop(self) -> None:
        """Ask the run to end; what it has is kept.

        Raises
        ------
        OutputError
            As `pause`.
        """
        self._control().request("stop")

    def close(self) -> None:
        """Let go of the run; its process goes on."""
        self.watcher.detach()

    def _control(self) -> Control:
        if self.watcher.run is None:
            raise SettingsError("No training is shown.")
        return self.watcher.run.control

    def _follow(self, run: Path, process: "subprocess.Popen[bytes] | None" = None) -> None:
        self._seen_alive, self._installed = False, None
        self.watcher.attach(run, process)

    def _on_stood(self, standing: Standing | None) -> None:
        self._seen_alive = self._seen_alive or (standing is not None and standing.alive)

    def _on_grew(self, history: History) -> None:
        """Install each new best adapter, unless it is the one the run started from.

        A run that is only looked at, long after its end, installs nothing.
        """
        run, validations = self.run, history.validations
        if run is None or not validations or not self._seen_alive:
            return
        step = validations[-1].best_step
        unchanged = step == 0 and history.start_dice is not None
        if step is None or unchanged or step == self._installed:
            return
        self._installed = step
        if settings_of(run).train != "adapter":
            return

        def install() -> Adapter:
            return import_adapter(run, name=run.name, replace=True)

        self._work(install, lambda adapter: self.installed.emit(adapter.name), quiet=True)

    def _work(
        self, function: Callable[[], Any], done: Callable[[Any], None], *, quiet: bool = False
    ) -> None:
        """Do something in a worker's thread, then something in the window's."""

        def ended(result: Any = None) -> None:
            if not quiet:
                self.busy = False
                self.preparing.emit(False)

        def failed(error: Exception) -> None:
            ended()
            if not isinstance(error, Sam2LoraError):
                raise error
            self.said.emit(str(error))

        if not quiet:
            self.busy = True
            self.preparing.emit(True)
        worker = create_worker(
            function,
            _start_thread=False,
            _ignore_errors=True,
            _connect={"returned": [ended, done], "errored": failed},
        )
        worker.start()


def settings_of(run: Path) -> TrainSettings:
    """Read the settings of a run.

    Raises
    ------
    SettingsError
        If they are missing or damaged.
    """
    return validate_settings(RunFolder(run).read_settings())
