"""Measure the selected image again whenever what is measured has changed."""

from functools import partial

from napari.layers import Image
from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.lookup import selected_image
from napari_sam2lora.layers.mask_events import MaskWatcher
from napari_sam2lora.layers.regions import is_drawing
from napari_sam2lora.measurements.snapshot import (
    MeasuredEye,
    Snapshot,
    measure_snapshot,
    take_snapshot,
)
from napari_sam2lora.qt.worker import ReportProgress, Worker
from sam2lora.errors import Sam2LoraError

_PAUSE = 150  # milliseconds without a change before measuring
_MEMBERS = ("inserted", "removed")
_CHANGES = ("data", "metadata", "name", "scale", "units", "visible")  # the watcher has the rest


class LiveEye(QObject):
    """Measures the selected image of a viewer, in a worker thread.

    Parameters
    ----------
    viewer
        The viewer.

    Signals
    -------
    outdated()
        Something has changed; what was measured last may not hold any more.
    measured(eye)
        A `MeasuredEye` of the image.
    unavailable(reason)
        Nothing can be measured.
    """

    outdated = Signal()
    measured = Signal(object)
    unavailable = Signal(str)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._active = self._closed = False
        self._asked: Snapshot | None = None  # what was asked for last
        self._shown: Snapshot | None = None  # what was measured last
        self._round = 0  # a job that cannot be stopped ends in a later one than it began in
        self._masks, self._worker = MaskWatcher(viewer), Worker()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self.measure)
        self._masks.changing.connect(self._on_changing)
        self._masks.changed.connect(self._soon)
        self._worker.done.connect(self._on_done)
        self._worker.failed.connect(self._on_failed)
        viewer.layers.events.connect(self._on_event)
        viewer.layers.selection.events.active.connect(self._soon)
        self._masks.refresh()

    def set_active(self, active: bool) -> None:
        """Measure from now on, or stop; what has changed in between is then measured."""
        if self._closed:
            return
        if active and not self._active:
            self._timer.start(2 * _PAUSE)  # after the watcher, which has just begun, has reported
            self.outdated.emit()
        self._active = active

    @property
    def image(self) -> Image | None:
        """The image that was measured last; None if it was removed, or another is selected."""
        if self._shown is None:
            return None
        found = ImageLayers(self._viewer).find(self._shown.image)
        try:
            return found if found == selected_image(self._viewer) else None
        except Sam2LoraError:
            return None

    @property
    def current(self) -> bool:
        """Whether nothing has changed since what was measured last."""
        waits = self._masks.pending or self._timer.isActive()
        return self._shown is not None and self._shown is self._asked and not waits

    def measure(self) -> None:
        """Measure the selected image."""
        if not self._active:
            return
        try:
            snapshot = take_snapshot(self._viewer, selected_image(self._viewer))
        except Sam2LoraError as error:
            self._withdraw(str(error))
            return
        if self._asked is not None and self._asked.image != snapshot.image:
            self._forget_jobs()
        self._asked = snapshot
        self._worker.submit(self._round, partial(_measured, snapshot))

    def close(self) -> None:
        """Disconnect from the viewer, and stop; Qt objects are left alone, they may be deleted."""
        if self._closed:
            return
        self._active, self._closed = False, True
        self._viewer.layers.events.disconnect(self._on_event)
        self._viewer.layers.selection.events.active.disconnect(self._soon)
        self._masks.close()
        self._worker.close()

    def _on_changing(self) -> None:
        """Announce that a stroke has begun; it is measured once it has ended."""
        if self._active:
            self.outdated.emit()

    def _soon(self) -> None:
        if self._active:
            self._timer.start(_PAUSE)
            self.outdated.emit()

    def _on_event(self, event: Event) -> None:
        """Measure when a layer has changed; the list emits its layers' events."""
        if event.type not in (*_MEMBERS, *_CHANGES):
            return
        member = event.type in _MEMBERS
        index = getattr(event, "index", None)  # a layer that is being removed has none
        if index is None or is_drawing(event.value if member else self._viewer.layers[index]):
            return
        if member:
            self._masks.refresh()
        self._soon()

    def _on_done(self, key: object, measured: MeasuredEye) -> None:
        if not self._active or key != self._round:
            return
        self._shown = measured.snapshot
        if self.image is not None:
            self.measured.emit(measured)

    def _on_failed(self, key: object, error: Exception) -> None:
        if not isinstance(error, Sam2LoraError):
            raise error
        if key == self._round:
            self._withdraw(str(error))

    def _withdraw(self, reason: str) -> None:
        self._forget_jobs()
        self._asked = self._shown = None
        self.unavailable.emit(reason)

    def _forget_jobs(self) -> None:
        """Discard the jobs that wait, and the result of the one that runs."""
        self._worker.cancel()
        self._round += 1


def _measured(snapshot: Snapshot, report: ReportProgress) -> MeasuredEye:
    return measure_snapshot(snapshot)
