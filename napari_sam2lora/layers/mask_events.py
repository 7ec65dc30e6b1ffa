"""A word when what is shown has changed: a mask in any way, a preview by being hidden or shown."""

from collections.abc import Iterable

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.metadata import plugin_metadata

_PAUSE = 150  # milliseconds without a change until it is told
_OF_MASKS = ("paint", "labels_update", "set_data", "data")
_OF_PREVIEWS = ("visible",)


class MaskWatcher(QObject):
    """The previews of a viewer, and its Labels layers that are no view of something else.

    Parameters
    ----------
    viewer
        Where they are.

    Signals
    -------
    changed()
        One of them has come or gone, or something else is shown now.
    """

    changed = Signal()

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._watched: list[Layer] = []
        self._closed = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._timer.timeout.connect(self._tell)

    def refresh(self) -> None:
        """Watch those that are in the viewer now."""
        there = [] if self._closed else [one for one in self._viewer.layers if _events_of(one)]
        if there != self._watched:
            self._disconnect(one for one in self._watched if one not in there)
            self._watch(one for one in there if one not in self._watched)
            self._watched = there
            self._soon()

    def close(self) -> None:
        """Let go of all of them; Qt's own parts may be gone already."""
        self._closed = True
        self._disconnect(self._watched)
        self._watched = []

    def _soon(self) -> None:
        if not self._closed:
            self._timer.start()

    def _tell(self) -> None:
        if not self._closed:
            self.changed.emit()

    def _watch(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            for name in _events_of(layer):
                layer.events[name].connect(self._soon)

    def _disconnect(self, layers: Iterable[Layer]) -> None:
        for layer in layers:
            for name in _events_of(layer):
                layer.events[name].disconnect(self._soon)


def _events_of(layer: Layer) -> tuple[str, ...]:
    view = plugin_metadata(layer.metadata).get("view")
    if isinstance(layer, Labels) and view is None:
        return _OF_MASKS
    return _OF_PREVIEWS if isinstance(layer, Image) and view == "preview" else ()
