"""Targets that are points, as the fovea: for each image a Points layer with the place itself.

The layer is the result: whoever moves its point sets it by hand. What is known about the point is
in the layer's metadata, so that it can be saved without the dock that located it.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, TypeGuard

import numpy as np
from napari.layers import Image, Layer, Points
from napari.utils.events import Event
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.conversion import LayerData, size_of, view_layer
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.insertion import add_quietly, lift_above, set_points, set_visible
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.metadata import (
    TargetKey,
    ensure_image_id,
    plugin_metadata,
    with_plugin_metadata,
)
from napari_sam2lora.layers.prompt_conversion import point_size
from sam2lora.targets import Target, get_target

_FINAL = {"added", "removed", "changed"}
_SIZE = 2.0  # of the size of prompts, which cover less


@dataclass(frozen=True)
class LocatedPoint:
    """Where a target is that is a point.

    Attributes
    ----------
    x, y
        Its place in native pixels.
    confidence
        Of the network, 0…1; 1 if it was set by hand.
    accepted
        Whether it is kept: it was accepted, or set by hand.
    """

    x: float
    y: float
    confidence: float = 1.0
    accepted: bool = True

    @property
    def set_by_hand(self) -> bool:
        """Whether no network located it."""
        return self.confidence == 1


def point_layer(image: LayerData, target: Target, point: LocatedPoint | None) -> LayerData:
    """Create the layer of a point, named after the image and the target."""
    data = np.empty((0, 2)) if point is None else np.array([[point.y, point.x]])
    layer = view_layer(
        target.name,
        data,
        image,
        "points",
        symbol="cross",
        size=_SIZE * point_size(size_of(image)),
        face_color=_color(target, point),
        border_color=target.color,
        border_width=0.1,
    )
    layer[1]["metadata"] = with_plugin_metadata(
        layer[1]["metadata"], target=target.name, point=None if point is None else asdict(point)
    )
    return layer


def is_point(layer: Layer) -> TypeGuard[Points]:
    """Check whether a layer shows a target that is a point."""
    return isinstance(layer, Points) and "point" in plugin_metadata(layer.metadata)


def read_point(layer: Points) -> LocatedPoint | None:
    """Return the newest point of a layer; one that was moved or added is set by hand."""
    if not len(layer.data):
        return None
    y, x = (float(value) for value in layer.data[-1][-2:])
    known = plugin_metadata(layer.metadata)["point"]
    if known is not None and np.allclose((known["x"], known["y"]), (x, y), atol=1e-3):
        return LocatedPoint(**known)
    return LocatedPoint(x, y)


def find_point(layers: Iterable[Layer], image: str, target: str) -> LocatedPoint | None:
    """Return the point of a target in an image, by the id of the image; None if none is shown."""
    for layer in layers:
        if is_point(layer):
            metadata = plugin_metadata(layer.metadata)
            if (metadata.get("image"), metadata.get("target")) == (image, target):
                return read_point(layer)
    return None


def write_point(layer: Points, point: LocatedPoint | None) -> None:
    """Show one point in a layer, or none."""
    target = get_target(plugin_metadata(layer.metadata)["target"])
    known = None if point is None else asdict(point)
    layer.metadata = with_plugin_metadata(layer.metadata, point=known)
    set_points(layer, [] if point is None else [(point.y, point.x)])
    layer.face_color = _color(target, point)
    layer.current_face_color = target.color  # a click sets it by hand


class PointLayers(QObject):
    """The points in one viewer, with an undo that napari's Points layers lack.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.

    Signals
    -------
    changed(key)
        The point of this image and target has changed.
    """

    changed = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer, self._images = viewer, ImageLayers(viewer)
        self._steps: dict[TargetKey, list[LocatedPoint | None]] = {}
        self._current: dict[TargetKey, int] = {}
        self._connected: dict[Points, Any] = {}
        self._hidden: set[TargetKey] = set()  # shown again when their image is the current one
        self._writing = False

    def at(self, key: TargetKey) -> LocatedPoint | None:
        """Return the point of a target in an image; None if there is none."""
        return self._steps[key][self._current[key]] if key in self._steps else None

    def find(self, key: TargetKey) -> Points | None:
        """Return the layer of a target in an image, or None."""
        return next((layer for layer in self._connected if _key(layer) == key), None)

    def has(self, layer: Layer) -> bool:
        """Check whether a layer shows a current point; a copy of such a layer does not."""
        return layer in self._connected

    def show(self, image: Image, target: Target, point: LocatedPoint | None) -> Points:
        """Show a point, in place of an earlier one; this can be undone."""
        key = (ensure_image_id(image), target.name)
        self.sync()  # first, or what the layer shows would replace the new point
        if point is not None:
            self.keep(key, point)
        layer = self.find(key)
        if layer is None:
            data, options, kind = point_layer(layer_data(image), target, self.at(key))
            layer = add_quietly(self._viewer, Layer.create(data, options, kind))
            if not is_point(layer):
                raise TypeError(f"{layer.name} is no Points layer.")
            self._connect(layer)
        lift_above(self._viewer, layer, image)
        self._write(key)
        return layer

    def keep(self, key: TargetKey, point: LocatedPoint | None) -> None:
        """Remember the point of an image, which may be shown later."""
        steps = self._steps.setdefault(key, [None])
        current = self._current.setdefault(key, 0)
        if point != steps[current]:
            steps[current + 1 :] = [point]
            self._current[key] = current + 1
            self.changed.emit(key)

    def restore(self, image: Image) -> None:
        """Show the points of an image that were kept while it was not in the viewer."""
        for key in list(self._steps):
            missing = self.find(key) is None and self.at(key) is not None
            if key[0] == ensure_image_id(image) and missing:
                self.show(image, get_target(key[1]), None)

    def use(self, image: Image, target: Target, *, adding: bool) -> None:
        """Select the layer of a target: the next click sets the point, or drags it."""
        layer = self.show(image, target, None)
        set_visible(layer, True)
        self._viewer.layers.selection.active = layer
        layer.mode = "add" if adding else "select"

    def accept(self, key: TargetKey) -> LocatedPoint | None:
        """Mark a point as accepted, and return it; None if there is none."""
        point = self.at(key)
        if point is not None and not point.accepted:
            self.keep(key, LocatedPoint(point.x, point.y, point.confidence))
            self._write(key)
        return self.at(key)

    def remove(self, key: TargetKey) -> None:
        """Remove a point; this can be undone."""
        self.keep(key, None)
        self._write(key)

    def unaccepted(self, image_id: str | None = None) -> list[TargetKey]:
        """Return the points of one image or of all that were located and not accepted."""
        points = {key: self.at(key) for key in self._steps if image_id in (None, key[0])}
        return [key for key, point in points.items() if point and not point.accepted]

    def undo(self, key: TargetKey) -> bool:
        """Undo the last change; return False if there is none."""
        return self._step(key, -1)

    def redo(self, key: TargetKey) -> bool:
        """Redo the change that was undone last; return False if there is none."""
        return self._step(key, 1)

    def show_only(self, image_id: str | None) -> None:
        """Hide the points of all other images, and show those of this one again."""
        for layer in self._connected:
            key = _key(layer)
            if key[0] == image_id and key in self._hidden:
                self._hidden.discard(key)
                set_visible(layer, True)
            elif image_id not in (None, key[0]) and layer.visible:
                self._hidden.add(key)
                set_visible(layer, False)

    def sync(self) -> None:
        """Follow layers that were added, and forget those that left the viewer.

        The point of an image that left is kept for when it is shown again.
        """
        layers, images = self._viewer.layers, self._images.ids()
        for layer in [one for one in self._connected if one not in layers]:
            key = _key(layer)
            self._disconnect(layer)
            if key[0] in images and not any(is_point(one) and _key(one) == key for one in layers):
                self.keep(key, None)  # it was deleted by hand
        for layer in [one for one in self._connected if _key(one)[0] not in images]:
            self._disconnect(layer)
            layers.selection.discard(layer)
            layers.remove(layer)
        for layer in list(layers):
            if is_point(layer) and layer not in self._connected and not self.find(_key(layer)):
                self._connect(layer)
        for layer in self._connected:
            key, shown = _key(layer), read_point(layer)
            if shown is None:
                self._write(key)  # the image came back, and no list has its point
            else:
                self.keep(key, shown)

    def close(self) -> None:
        """Disconnect from all layers; they stay in the viewer."""
        for layer in list(self._connected):
            self._disconnect(layer)

    def _connect(self, layer: Points) -> None:
        self._connected[layer] = partial(self._on_data, layer)
        layer.events.data.connect(self._connected[layer])

    def _disconnect(self, layer: Points) -> None:
        layer.events.data.disconnect(self._connected.pop(layer))

    def _on_data(self, layer: Points, event: Event) -> None:
        if not self._writing and str(event.action) in _FINAL:
            self.keep(_key(layer), read_point(layer))
            # Not now: napari is in the middle of adding or dragging the point.
            QTimer.singleShot(0, partial(self._write, _key(layer)))

    def _step(self, key: TargetKey, by: int) -> bool:
        if not 0 <= self._current.get(key, 0) + by < len(self._steps.get(key, [])):
            return False
        self._current[key] += by
        self._write(key)
        self.changed.emit(key)
        return True

    def _write(self, key: TargetKey) -> None:
        """Show the current point in its layer."""
        layer = self.find(key)
        if layer is None:
            return
        with self._ignore_changes():
            write_point(layer, self.at(key))

    @contextmanager
    def _ignore_changes(self) -> Iterator[None]:
        self._writing = True
        try:
            yield
        finally:
            self._writing = False


def _key(layer: Points) -> TargetKey:
    metadata = plugin_metadata(layer.metadata)
    return metadata["image"], metadata["target"]


def _color(target: Target, point: LocatedPoint | None) -> str:
    """Return the color inside the symbol: a point that is not accepted yet is hollow."""
    return "transparent" if point is not None and not point.accepted else target.color
