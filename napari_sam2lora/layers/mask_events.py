"""Notify when a mask changes or a preview is shown or hidden."""

from collections.abc import Iterable

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.metadata import plugin_metadata

_DELAY = 150  # milliseconds without a further change until `changed` is emitted
_MASK_EVENTS = ("paint", "labels_update", "set_data", "data")
_PREVIEW_EVENTS = ("visible",)


class MaskWatcher(QObject):
    """Watch the masks and previews of a viewer; Labels layers that are views are no masks.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.

    Signals
    -------
    changing()
        A burst of such changes begins.
    changed()
        A mask or a preview was added, removed or changed; emitted once after a burst of changes.
    """

    changing = Signal()
    changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._watched: list[Layer] = []
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY)
        self._timer.timeout.connect(self._emit_changed)

    @property
    def pending(self) -> bool:
        """Whether changes have begun that `changed` is still to announce."""
        return not self._closed and self._timer.isActive()

    def refresh(self) -> None:
        """Watch the masks and previews that are in the viewer now."""
        layers = [] if self._closed else list(filter(_events_of, self._viewer.layers))
        if layers != self._watched:
            self._disconnect(layer for layer in self._watched if layer not in layers)
            self._connect(layer for layer in layers if layer not in self._watched)
            self._watched = layers
            self._on_change()

    def close(self) -> None:
        """Disconnect from all layers; the timer is left alone, since Qt may have deleted it."""
        self._closed = True
        self._disconnect(self._watched)
        self._watched = []

    def _on_change(self) -> None:
        if not self._closed:
            begins = not self._timer.isActive()
            self._timer.start()
            if begins:
                self.changing.emit()

    def _emit_changed(self) -> None:
        if not self._closed:
            self.changed.emit()

    def _connect(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            for name in _events_of(layer):
                layer.events[name].connect(self._on_change)

    def _disconnect(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            for name in _events_of(layer):
                layer.events[name].disconnect(self._on_change)


def _events_of(layer: Layer) -> tuple[str, ...]:
    view = plugin_metadata(layer.metadata).get("view")
    if isinstance(layer, Labels) and view is None:
        return _MASK_EVENTS
    return _PREVIEW_EVENTS if isinstance(layer, Image) and view == "preview" else ()
