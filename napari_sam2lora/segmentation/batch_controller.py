"""Connects a session to the batch panel."""

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject
from qtpy.QtGui import QGuiApplication

from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.qt.dock_protocol import note_confidence
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.segmentation.cli_command import as_text, settings_of_files
from napari_sam2lora.segmentation.session import Session
from napari_sam2lora.segmentation.widgets.batch_panel import BatchPanel
from sam2lora.datasets.image_search import find_images
from sam2lora.errors import ImageError, Sam2LoraError
from sam2lora.inference.settings import PredictSettings
from sam2lora.targets import selectable_targets

if TYPE_CHECKING:
    from sam2lora.inference.result_files import FileResult

_KEY = "batch"


class BatchController(QObject):
    """Segments files, and shows their results.

    Parameters
    ----------
    session
        The session of the viewer.
    view
        The panel; it owns this controller.
    """

    def __init__(self, session: Session, view: BatchPanel) -> None:
        super().__init__(view)
        self._session, self._view = session, view
        self._listed = ""
        self._failed = self._done = self._kept = self._all = 0
        view.run_requested.connect(self._on_run)
        view.stop_requested.connect(self._on_stop)
        view.command_requested.connect(self._on_command)
        session.queue.worker.yielded.connect(self._on_result)
        session.queue.worker.done.connect(self._on_end)
        session.queue.worker.stopped.connect(self._on_stopped)
        session.queue.worker.failed.connect(self._on_failed)
        session.selection_changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Offer the folder that the current image is listed in, or else its file."""
        with show_user_errors(self):
            self._view.show_targets(list(selectable_targets()), self._session.target.name)
        image = self._session.image
        metadata = {} if image is None else plugin_metadata(image.metadata)
        listed = metadata.get("listed_in") or metadata.get("path") or ""
        if listed != self._listed and self._view.images in ((), (self._listed,)):
            self._listed = listed
            self._view.show_images([listed] if listed else [])

    def _settings(self) -> list[PredictSettings]:
        view = self._view
        if not view.images:
            raise ImageError("Choose images: a folder, or files.")
        if not view.out.text():
            raise ImageError("Choose a folder for the masks.")
        if not view.targets:
            raise ImageError("Select a target.")
        settings = settings_of_files(self._session, view.images, view.targets, view.out.text())
        update = {
            "probabilities": view.probabilities.isChecked(),
            "keep": view.keep.isChecked(),
        }
        return [one.model_copy(update=update) for one in settings]

    def _on_run(self) -> None:
        try:
            settings = self._settings()
            self._all = len(find_images(settings[0].images))
        except Sam2LoraError as error:
            self._view.message.setText(str(error))
            return
        self._view.start()
        self._failed = self._done = self._kept = 0
        self._session.queue.segment_files(settings, self._session.choices.compute, key=_KEY)

    def _on_stop(self) -> None:
        self._session.queue.cancel(_KEY)

    def _on_command(self) -> None:
        try:
            text = as_text(self._settings())
        except Sam2LoraError as error:
            self._view.message.setText(str(error))
            return
        QGuiApplication.clipboard().setText(text)
        self._view.message.setText(text)

    def _on_result(self, key: object, result: "FileResult") -> None:
        if key != _KEY:
            return
        self._done += 1
        self._failed += bool(result.error)
        self._kept += len(result.kept)
        for target, confidence in result.confidence.items():
            note_confidence(self._session.viewer, str(result.path), target, confidence)
        self._view.add_result(result.path.name, _describe(result), str(result.path))
        self._show_message()

    def _on_end(self, key: object, _: object = None) -> None:
        if key == _KEY:
            self._view.show_busy(False)

    def _on_stopped(self, key: object) -> None:
        if key == _KEY:
            self._view.show_busy(False)
            self._show_message(f"Cancelled after {self._done} of {self._all} images: ")

    def _on_failed(self, key: object, error: BaseException) -> None:
        if key == _KEY:
            self._view.show_busy(False)
            self._view.message.setText(str(error))

    def _show_message(self, before: str = "") -> None:
        failed = f", {self._failed} failed" if self._failed else ""
        kept = f", skipped: {self._kept}" if self._kept else ""
        self._view.message.setText(f"{before}{self._done - self._failed} segmented{failed}{kept}")


def _describe(result: "FileResult") -> str:
    """Return the result of one image as text."""
    found = ", ".join(f"{name} {iou:.2f}" for name, iou in result.iou.items())
    known = [(name, one) for name, one in result.confidence.items() if one is not None]
    sure = ", ".join(f"{name} {one:.2f}" for name, one in known)
    kept = f"skipped: {', '.join(result.kept)}" if result.kept else ""
    error = result.error.removeprefix(f"{result.path}: ")
    located = ", ".join(f"{name} {one.confidence:.2f}" for name, one in result.points.items())
    parts = (
        error,
        located and f"confidence: {located}",
        found and f"predicted IoU: {found}",
        sure and f"confidence: {sure}",
        kept,
    )
    return "; ".join(filter(None, parts))
