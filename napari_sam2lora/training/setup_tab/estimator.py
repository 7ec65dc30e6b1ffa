"""Estimate the cost of a training before it starts: `sam2lora train --dry-run`, in a process.

It runs one sample, which needs torch: the main thread must not wait for that, and the memory is
freed with the process.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, Signal

from napari_sam2lora.qt.background import in_background
from napari_sam2lora.training.data.snapshot import write_snapshot
from napari_sam2lora.training.run.process import command, environment, yield_to_viewer
from sam2lora.annotations import LabelledImage
from sam2lora.errors import Sam2LoraError, SettingsError
from sam2lora.training.settings import TrainSettings


class CostEstimator(QObject):
    """Makes one estimate at a time; a newer request replaces an older one.

    Signals
    -------
    estimated(message)
        Trained share of the network, images, time and memory; or why it cannot be trained.
    """

    estimated = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: QProcess | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._cancelled = Event()  # each request has its own

    @property
    def busy(self) -> bool:
        """Whether an estimate is being made."""
        return self._folder is not None

    def request(self, settings: TrainSettings, images: Iterable[LabelledImage]) -> None:
        """Estimate a training with these settings on images from `labelled_images`."""
        self.cancel()
        # It may be removed while a snapshot is written into it: the worker removes it again then.
        folder = tempfile.TemporaryDirectory(prefix="sam2lora-", ignore_cleanup_errors=True)
        self._folder = folder
        cancelled = self._cancelled = Event()

        def until_cancelled() -> Iterator[LabelledImage]:
            for image in images:
                yield image
                if cancelled.is_set():
                    raise SettingsError("The estimate was cancelled.")

        def write() -> Path:
            try:
                run = write_snapshot(Path(folder.name), settings, until_cancelled(), copy=False)
                return run.settings
            finally:
                if cancelled.is_set():
                    folder.cleanup()

        def written(path: Path) -> None:
            if not cancelled.is_set():
                self._run(path)

        def failed(error: Sam2LoraError) -> None:
            if not cancelled.is_set():
                self._finish(str(error))

        def ended() -> None:
            if self._folder is folder and self._process is None:
                self._finish("No estimate: unexpected error.")

        in_background(self, write, written, failed, ended)

    def cancel(self) -> None:
        """Cancel the estimate; nothing is emitted for it."""
        self._cancelled.set()
        if self._process is not None:
            self._process.finished.disconnect()
            self._process.finished.connect(self._process.deleteLater)
            self._process.kill()
            self._process = None
        self._clear()

    def _run(self, settings: Path) -> None:
        program, *arguments = command("NEW", "--settings", str(settings), "--dry-run")
        self._process = QProcess(self)
        variables = QProcessEnvironment()
        for name, value in environment().items():
            variables.insert(name, value)
        self._process.setProcessEnvironment(variables)
        self._process.setWorkingDirectory(str(settings.parent))
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._process.start(program, arguments)
        if self._process.waitForStarted(1000):
            yield_to_viewer(self._process.processId())

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart and self._process is not None:
            self._finish(f"No estimate: {self._process.errorString()}")

    def _on_finished(self, code: int) -> None:
        process = self._process
        if process is None:
            return
        printed = bytes(process.readAllStandardOutput().data()).decode(errors="replace")
        errors = bytes(process.readAllStandardError().data()).decode(errors="replace")
        text = printed if code == 0 else errors
        self._finish("\n".join(line.strip() for line in text.splitlines() if line.strip()))

    def _finish(self, message: str) -> None:
        self._process = None
        self._clear()
        self.estimated.emit(message)

    def _clear(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
