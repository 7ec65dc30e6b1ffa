"""Write what is not saved yet within two seconds of a change, beside the saved masks.

Layers are copied on the main thread, which takes milliseconds; files are written in a worker
thread. A timer that runs since the first change, and is not started again by the next ones, fires
while somebody paints without a pause, too.
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from threading import Lock
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from napari.utils.events import Event
from napari.viewer import Viewer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.loading import ImageFile
from napari_sam2lora.layers.mask_strokes import MaskStrokes
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.layers.points import is_point, read_point
from napari_sam2lora.layers.shown_image import ShownImage
from napari_sam2lora.qt.dock_protocol import unsaved_notes
from napari_sam2lora.qt.worker import ReportProgress, Worker
from sam2lora.errors import Sam2LoraError
from sam2lora.grading.recovery import INTERVAL, RecoveryFile

COMMENT, POINTS, DOCKS = "comment", "points", "docks"
"""Keys of the notes."""

_WAIT = round(400 * INTERVAL)  # milliseconds; the rest is for copying and writing
_PAINTED = "paint"
_CHANGES = (_PAINTED, "labels_update", "set_data", "data")


class Autosave(QObject):
    """Keeps a file of what is not saved of the image that is shown.

    Parameters
    ----------
    viewer
        The viewer.
    shown
        The image; its layers are watched.
    file
        The file.

    Signals
    -------
    edited()
        A stroke in a mask has ended, or what is saved of the image differs in another way.
    acted()
        A layer has changed, as while somebody paints.
    failed(message)
        The file cannot be written.
    """

    edited = Signal()
    acted = Signal()
    failed = Signal(str)

    def __init__(self, viewer: Viewer, shown: ShownImage, file: RecoveryFile) -> None:
        super().__init__()
        self._viewer, self._shown, self._file = viewer, shown, file
        self._strokes: dict[str, MaskStrokes] = {}
        self._touched: set[str] = set()
        self._arrays: dict[str, dict[str, NDArray[Any]]] = {}
        self._comment: str | None = None
        self._saved: dict[str, Any] = {}  # notes of what needs no file
        self._written: dict[str, Any] | None = None
        self._arrays_changed = False  # when they were collected last
        self._failure = ""  # that was reported last
        self._lock, self._round = Lock(), 0
        self._paused = self._closed = False
        self._worker = Worker()
        self._worker.failed.connect(self._on_failed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT)
        self._timer.timeout.connect(self.write)
        viewer.layers.events.connect(self._on_event)

    def show(self, file: ImageFile) -> None:
        """Show another image once the one before is saved, and watch its masks.

        Raises
        ------
        Sam2LoraError
            If masks cannot be saved, the image cannot be read, or the file cannot be deleted.
        """
        self.save()
        self._paused = True
        try:
            self._shown.show(file)
        finally:
            self._paused, self._comment = False, None
            self._forget()
            self._discard()
            self._timer.start()  # prompts and previews of the other image are in no file

    def save(self) -> list[str]:
        """Save the masks and points that changed; the recovery file keeps the rest.

        Prompts, previews and a comment being typed are saved nowhere else. If there are none, the
        file is deleted.

        Returns
        -------
        The names of their targets; none without an image.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved, which stays in the recovery file, or that cannot be
            written or deleted.
        """
        if self._shown.file is None:
            return []
        saved = self._shown.save()
        if saved:
            self.edited.emit()
        self._forget()
        self.write_now()
        return saved

    def write_now(self) -> None:
        """Write what is not saved, in this thread; without anything, delete the file.

        Raises
        ------
        OutputError
            If the file cannot be written or deleted.
        """
        job = self._collect()
        if job is None:
            self._discard()
            return
        with self._lock:
            self._round += 1
            job(self._file)

    def _forget(self) -> None:
        """Take what is shown as saved."""
        self._touched.clear()
        self._arrays.clear()
        self._saved = {COMMENT: None, POINTS: self._points(), DOCKS: {}}
        masks = self._masks()
        self._strokes = {name: MaskStrokes(values) for name, values in masks.items()}

    def _discard(self) -> None:
        """Delete the file; if it is being written, once it is."""
        self._written = None
        with self._lock:
            self._round += 1
            self._file.discard()

    def set_comment(self, text: str | None) -> None:
        """Note a comment that is being typed; None: it was saved."""
        self._comment = text
        self._soon()

    def adopt(self, aside: RecoveryFile) -> None:
        """Take a file that was set aside as the current one: what is in it is shown again.

        Raises
        ------
        OutputError
            If it cannot be renamed.
        """
        with self._lock:
            self._round += 1
            self._file.put_back(aside)
        self._written = {}  # so that it is deleted if nothing differs
        self._timer.start()

    def write(self) -> None:
        """Copy what is not saved, and write it in the worker thread."""
        if self._shown.file is None or self._closed:
            return
        written = self._written
        job = self._collect()
        if job is None:
            if written is not None:
                self._discard()
        elif self._arrays_changed or self._written != written:
            self._worker.submit("recovery", partial(self._write, self._round, job))

    def _collect(self) -> Callable[[RecoveryFile], None] | None:
        """Copy what is not saved, and return what writes it; None if there is nothing."""
        shown = self._shown.file
        if shown is None:
            return None
        masks = self._masks()
        self._arrays_changed = False
        for name in self._touched & masks.keys():
            values = masks[name]
            before, strokes = self._arrays.get(name), self._strokes_of(name, values)
            if before is None:
                differs = strokes.changed(values)
            else:
                differs = not np.array_equal(before["now"], values)
            if differs:
                self._arrays[name] = strokes.arrays(values)
                self._arrays_changed = True
        self._touched.clear()
        if self._arrays_changed:
            self.edited.emit()
        notes = self._notes()
        if not self._arrays and notes == self._saved:
            return None
        self._written = notes
        arrays = {
            f"{target}.{part}": array
            for target, parts in self._arrays.items()
            for part, array in parts.items()
        }
        stem = shown.stem
        return lambda file: file.write(stem, notes=notes, arrays=arrays)

    def close(self) -> None:
        """Disconnect from the viewer, and write nothing any more; the file stays as it is."""
        if not self._closed:
            self._closed = True
            self._viewer.layers.events.disconnect(self._on_event)
            with self._lock:
                self._round += 1
            self._worker.close()

    def _write(
        self, number: int, job: Callable[[RecoveryFile], None], report: ReportProgress
    ) -> None:
        with self._lock:
            if number == self._round:
                job(self._file)

    def _notes(self) -> dict[str, Any]:
        path = self._shown.path
        return {
            COMMENT: self._comment,
            POINTS: self._points(),
            DOCKS: {} if path is None else unsaved_notes(self._viewer, path),
        }

    def _points(self) -> dict[str, Any]:
        """Return the image's points by target; None for a layer without one."""
        read = {
            plugin_metadata(layer.metadata)["target"]: read_point(layer)
            for layer in self._shown.point_layers()
        }
        return {name: None if point is None else asdict(point) for name, point in read.items()}

    def _strokes_of(self, target: str, values: NDArray[Any]) -> MaskStrokes:
        """Return the strokes of a mask; one that was added since had nothing in it."""
        return self._strokes.setdefault(target, MaskStrokes(np.zeros_like(values)))

    def _masks(self) -> dict[str, NDArray[Any]]:
        """Return the labels of the image's masks by target; they are not copied."""
        return {
            plugin_metadata(layer.metadata)["target"]: np.asarray(layer.data)
            for layer in self._shown.mask_layers()
            if layer.data.ndim == 2
        }

    def _on_event(self, event: Event) -> None:
        """Take notice of a change; the list of layers emits its layers' events."""
        if self._paused or self._closed or event.type not in _CHANGES:
            return
        index = getattr(event, "index", None)
        if index is None or index not in range(len(self._viewer.layers)):
            return
        layer = self._viewer.layers[index]
        about = plugin_metadata(layer.metadata)
        if about.get("image") != self._shown.path or self._shown.path is None:
            return
        if isinstance(layer, Labels) and "view" not in about and "target" in about:
            self._on_mask(layer, about["target"], event.type)
        elif "prompts" in about or about.get("view") == "preview" or is_point(layer):
            self._soon()

    def _on_mask(self, layer: Layer, target: str, kind: str) -> None:
        self._touched.add(target)
        if kind == _PAINTED:
            values = np.asarray(layer.data)
            if values.ndim == 2:
                self._strokes_of(target, values).add(values)
                self.edited.emit()
        self._soon()

    def _soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()
        self.acted.emit()

    def _on_failed(self, key: object, error: Exception) -> None:
        if not isinstance(error, Sam2LoraError):
            raise error
        self._written = None  # so that it is tried again
        self._timer.start()
        if str(error) != self._failure:
            self._failure = str(error)
            self.failed.emit(str(error))
