"""Say what a training would do before it starts: `sam2lora train --dry-run`, in a process.

Trying one sample needs torch, which the window shall not wait for; and so its memory is given back.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from napari_sam2lora._background import in_background
from napari_sam2lora.training.child import command, environment, yield_to_viewer
from napari_sam2lora.training.snapshot import Load, write_draft
from sam2lora.errors import Sam2LoraError
from sam2lora.training.settings import TrainSettings


class Estimator(QObject):
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
        self._number = 0

    @property
    def busy(self) -> bool:
        """Whether an answer is to come."""
        return self._folder is not None

    def ask(self, settings: TrainSettings, loads: Sequence[Load]) -> None:
        """Ask about a training on these images."""
        self.cancel()
        # It may be cleared away while a draft is still written into it.
        self._folder = tempfile.TemporaryDirectory(prefix="sam2lora-", ignore_cleanup_errors=True)
        folder, number = Path(self._folder.name), self._number
        text = settings.model_dump_json()

        def written(path: Path) -> None:
            if number == self._number:
                self._run(path)

        def failed(error: Sam2LoraError) -> None:
            if number == self._number:
                self._answer(str(error))

        in_background(self, lambda: write_draft(folder, text, loads), written, failed)

    def cancel(self) -> None:
        """Forget the question; nothing is answered."""
        self._number += 1
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
