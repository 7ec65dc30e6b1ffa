"""Write what is not saved yet within two seconds of a change, beside the saved masks.

Layers are copied on the main thread, which takes milliseconds; files are written in a worker
thread. A timer that runs since the first change, and is not started again by the next ones, fires
while somebody paints without a pause, too.
"""

from collections.abc import Mapping
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
    painted()
        A stroke in a mask has ended, or something else has changed a mask.
    acted()
        A layer has changed, as while somebody paints.
    failed(message)
        The file cannot be written.
    """

    painted = Signal()
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
        self._lock, self._round = Lock(), 0
        self._paused = self._closed = False
        self._worker = Worker()
        self._worker.failed.connect(self._on_failed)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT)
        self._timer.timeout.connect(self.write)
        viewer.layers.events.connect(self._on_event)

    def show(self, file: ImageFile, *, keep: bool = False) -> None:
        """Show another image once the one before is saved, and watch its masks.

        Parameters
        ----------
        file
            The image.
        keep
            Whether the recovery file stays: what is in it is about to be brought back.

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
            if not keep:
                self._discard()

    def save(self) -> list[str]:
        """Save the masks and points that changed, and delete the recovery file.

        Prompts, previews and a comment being typed are saved nowhere else, and written again.

        Returns
        -------
        The names of their targets; none without an image.

        Raises
        ------
        Sam2LoraError
            If something cannot be saved, which stays in the recovery file, or that cannot be
            deleted.
        """
        if self._shown.file is None:
            return []
        saved = self._shown.save()
        self._forget()
        self._discard()
        return saved

    def _forget(self) -> None:
        """Take what is shown as saved."""
        self._touched.clear()
        self._arrays.clear()
        self._saved = {COMMENT: None, POINTS: self._points(), DOCKS: {}}
        masks = self._masks()
        self._strokes = {name: MaskStrokes(values) for name, values in masks.items()}
        self._timer.start()  # the others are in no other file

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

    def write(self) -> None:
        """Copy what is not saved, and write it in the worker thread."""
        shown = self._shown.file
        if shown is None or self._closed:
            return
        masks = self._masks()
        changed = False
        for name in self._touched & masks.keys():
            values = masks[name]
            before, strokes = self._arrays.get(name), self._strokes_of(name, values)
            if before is None:
                differs = strokes.changed(values)
            else:
                differs = not np.array_equal(before["now"], values)
            if differs:
                self._arrays[name] = strokes.arrays(values)
                changed = True
        self._touched.clear()
        notes = self._notes()
        if not self._arrays and notes == self._saved:
            if self._written is not None:
                self._discard()
            return
        if not changed and notes == self._written:
            return
        self._written = notes
        arrays = {
            f"{target}.{part}": array
            for target, parts in self._arrays.items()
            for part, array in parts.items()
        }
        job = partial(self._write, self._round, shown.stem, notes, arrays)
        self._worker.submit("recovery", job)

    def close(self) -> None:
        """Disconnect from the viewer, and write nothing any more; the file stays as it is."""
        if not self._closed:
            self._closed = True
            self._viewer.layers.events.disconnect(self._on_event)
            with self._lock:
                self._round += 1
            self._worker.close()

    def _write(
        self,
        number: int,
        stem: str,
        notes: Mapping[str, Any],
        arrays: Mapping[str, NDArray[Any]],
        report: ReportProgress,
    ) -> None:
        with self._lock:
            if number == self._round:
                self._file.write(stem, notes=notes, arrays=arrays)

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
                self.painted.emit()
        self._soon()

    def _soon(self) -> None:
        if not self._timer.isActive():
            self._timer.start()
        self.acted.emit()

    def _on_failed(self, key: object, error: Exception) -> None:
        if not isinstance(error, Sam2LoraError):
            raise error
        self.failed.emit(str(error))
