"""Say what a training would do before it starts: `sam2lora train --dry-run`, in a process.

Trying one sample needs torch, which the window shall not wait for; and so its memory is given back.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from napari_sam2lora.qt.background import in_background
from napari_sam2lora.training.data.snapshot import PairSource, write_snapshot
from napari_sam2lora.training.run.process import command, environment, yield_to_viewer
from sam2lora.annotations import LabelledImage
from sam2lora.errors import Sam2LoraError, SettingsError
from sam2lora.training.settings import TrainSettings


class CostEstimator(QObject):
    """Makes one estimate at a time; a newer question takes the place of an older one.

    Signals
    -------
    answered(words)
        Share of the network that is trained, images, time and memory; or why it cannot be trained.
    """

    answered = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._called_off = Event()  # each question has one of its own

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return self._folder is not None

    def ask(self, settings: TrainSettings, loads: Sequence[PairSource]) -> None:
        """Ask about a training on these images."""
        self.cancel()
        # It may be cleared away while a draft is written into it: the worker does it again then.
        held = tempfile.TemporaryDirectory(prefix="sam2lora-", ignore_cleanup_errors=True)
        self._folder = held
        called_off = self._called_off = Event()
        text = settings.model_dump_json()

        def unless_called_off(load: PairSource) -> LabelledImage:
            if called_off.is_set():
                raise SettingsError("The estimate was called off.")
            return load()

        def write() -> Path:
            try:
                wanted = [partial(unless_called_off, load) for load in loads]
                return write_snapshot(Path(held.name), text, wanted)
            finally:
                if called_off.is_set():
                    held.cleanup()

        def written(path: Path) -> None:
            if not called_off.is_set():
                self._run(path)

        def failed(error: Sam2LoraError) -> None:
            if not called_off.is_set():
                self._answer(str(error))

        def ended() -> None:
            if self._folder is held and self._process is None:
                self._answer("No estimate: something went wrong.")

        in_background(self, write, written, failed, ended)

    def cancel(self) -> None:
        """Forget the question; nothing is answered."""
        self._called_off.set()
        if self._process is not None:
            self._process.finished.disconnect()
            self._process.finished.connect(self._process.deleteLater)
            self._process.kill()
            self._process = None
        self._clear()

    def _run(self, settings: Path) -> None:
        program, *words = command("NEW", "--settings", str(settings), "--dry-run")
        self._process = QProcess(self)
        variables = QProcessEnvironment()
        for name, value in environment().items():
            variables.insert(name, value)
        self._process.setProcessEnvironment(variables)
        self._process.setWorkingDirectory(str(settings.parent))
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._process.start(program, words)
        if self._process.waitForStarted(1000):
            yield_to_viewer(self._process.processId())

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._answer(f"No estimate: {self._process.errorString()}")

    def _on_finished(self, code: int) -> None:
        process = self._process
        if process is None:
            return
        printed = bytes(process.readAllStandardOutput().data()).decode(errors="replace")
        errors = bytes(process.readAllStandardError().data()).decode(errors="replace")
        text = printed if code == 0 else errors
        self._answer("\n".join(line.strip() for line in text.splitlines() if line.strip()))

    def _answer(self, words: str) -> None:
        self._process = None
        self._clear()
        self.answered.emit(words)

    def _clear(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
