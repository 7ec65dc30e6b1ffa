"""One row a target in napari's list of layers.

napari 0.9 has neither groups of layers nor layers that its list leaves out. The list is a view of
Qt's, which can hide rows; a layer without a row is in `viewer.layers` and on the canvas as ever.
"""

from collections.abc import Iterable
from weakref import ref

from napari.layers import Labels, Layer
from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.compat import isalive
from qtpy.QtCore import QAbstractItemModel, QObject, Qt, QTimer
from qtpy.QtWidgets import QListView, QWidget

from napari_sam2lora.layers.masks import SPARE
from napari_sam2lora.layers.metadata import plugin_metadata

_EVENTS = ("inserted", "removed", "reordered", "name", "metadata")


class LayerRows(QObject):
    """Hide the rows of prompts, of empty masks, and of previews beside their mask.

    Parameters
    ----------
    viewer
        The viewer.
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._window: ref[QWidget] | None = None
        self._view: ref[QListView] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.refresh)

    def follow(self, window: QWidget | None) -> None:
        """Hide rows in the list of a main window from now on."""
        if window is not None and self._window is None:
            self._window = ref(window)
            self._viewer.layers.events.connect(self._on_event)
            self._timer.start(0)

    def refresh(self) -> None:
        """Hide and show rows; nothing happens where the list is not found."""
        if self._window is not None:
            self._set(without_row(self._viewer.layers))

    def close(self) -> None:
        """Show all rows again, and disconnect from the viewer."""
        if self._window is None:
            return
        self._viewer.layers.events.disconnect(self._on_event)
        self._set([])
        self._window = self._view = None

    def _on_event(self, event: Event) -> None:
        """Refresh once the change is complete; the list emits its layers' events, too."""
        if event.type in _EVENTS and isalive(self._timer):
            self._timer.start(0)

    def _set(self, hidden: list[Layer]) -> None:
        view = None if self._view is None else self._view()
        if view is None or not isalive(view):
            view = self._find()
        if view is None:
            return
        self._view = ref(view)
        for row, layer in enumerate(_rows(view.model())):
            if view.isRowHidden(row) != (layer in hidden):
                view.setRowHidden(row, layer in hidden)

    def _find(self) -> QListView | None:
        window = None if self._window is None else self._window()
        if window is None or not isalive(window):
            return None
        count = len(self._viewer.layers)
        views = window.findChildren(QListView)
        return next((one for one in views if _is_list_of(one.model(), count)), None)


def without_row(layers: Iterable[Layer]) -> list[Layer]:
    """Return the layers that need no row: a target has one row, its mask or else its preview."""
    layers = list(layers)
    of = {id(layer): plugin_metadata(layer.metadata) for layer in layers}
    masks = {
        (entries["image"], entries["target"])
        for layer in layers
        if isinstance(layer, Labels)
        and "view" not in (entries := of[id(layer)])
        and {"image", "target"} <= entries.keys()
    }
    hidden = []
    for layer in layers:
        entries = of[id(layer)]
        shown = (entries.get("image"), entries.get("target")) in masks
        if (
            "prompts" in entries
            or entries.get("view") == SPARE
            or (entries.get("view") == "preview" and shown)
        ):
            hidden.append(layer)
    return hidden


def _rows(model: QAbstractItemModel | None) -> list[object]:
    if model is None:
        return []
    indices = (model.index(row, 0) for row in range(model.rowCount()))
    return [index.data(Qt.ItemDataRole.UserRole) for index in indices]


def _is_list_of(model: QAbstractItemModel | None, count: int) -> bool:
    """Check whether a model has as many rows as a viewer has layers, each of them a layer."""
    if model is None or not count or model.rowCount() != count:
        return False
    return all(isinstance(row, Layer) for row in _rows(model))
