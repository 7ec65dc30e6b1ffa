"""Draw the regions in which an eye is measured, as Shapes layers that nobody edits by accident.

There is a layer for each drawing, so that each can be hidden. They are views of their image:
neither masks nor prompts, and nothing that is saved with the masks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from napari.layers import Image, Layer, Shapes
from napari.viewer import Viewer
from qtpy.QtCore import QTimer

from napari_sam2lora.layers.conversion import size_of, view_layer
from napari_sam2lora.layers.fading import FadedLayers
from napari_sam2lora.layers.insertion import add_quietly, lift_above
from napari_sam2lora.layers.lookup import layer_data, masks_of_image
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from sam2lora.measurements.drawing import BorderPoints, Drawing, Region, join_sectors

Drawings = Mapping[Drawing, Sequence[Region]]

_HOUR = "rim_width_hour"
_COLORS = {  # by how the names of measurements begin, the first that fits
    _HOUR: "#7fd4ff",
    "rim_width": "#ffffff",
    "rim_disc_ratio": "#ff4fd8",
    "vessel_density_zone": "#8ee66b",
    "vessel_density_etdrs": "#ffb347",
}
_TEXTS: Mapping[Drawing, str] = {
    "rim sectors": "#ffffff",
    "zones B and C": _COLORS["vessel_density_zone"],
    "ETDRS grid": _COLORS["vessel_density_etdrs"],
}
_WIDTH, _THINNEST = 1 / 900, 0.5  # of the image's longer side, and in pixels
_SPOT = 1e-3  # pixels: the length of the invisible line that carries a label
_POINTS = 0.58  # size of text whose em is one pixel
_OUTDATED = 0.35  # of its opacity is left to a drawing that is out of date


@dataclass(eq=False)
class _Content:
    """What a layer shows: for each shape its points, color and label."""

    shapes: list[BorderPoints] = field(default_factory=list)
    edges: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    height: float = 1.0  # of the labels, in pixels of the image

    def add(self, shape: BorderPoints, edge: str, label: str = "") -> None:
        """Add a shape."""
        self.shapes.append(shape)
        self.edges.append(edge)
        self.labels.append(label)

    def has_shapes_of(self, other: "_Content") -> bool:
        """Check whether the shapes are the same."""
        same = len(self.shapes) == len(other.shapes)
        return same and all(map(np.array_equal, self.shapes, other.shapes))


class RegionLayers:
    """The drawings of one image in a viewer.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._image: Image | None = None
        self._key = ""  # the id of the image: its layer may come to show another one
        self._outdated, self._faded = False, FadedLayers(_OUTDATED)
        self._layers: dict[Drawing, Shapes] = {}
        self._shown: dict[Drawing, _Content] = {}
        self._waiting: dict[Drawing, _Content] = {}

    def show(self, image: Image, drawings: Drawings, texts: Mapping[str, str]) -> None:
        """Draw regions on an image, in place of earlier drawings, one drawing after the other.

        Parameters
        ----------
        image
            The image.
        drawings
            The regions by drawing.
        texts
            What to write beside the label of a region, by its name.
        """
        key = image_id(image.metadata, image.name)
        if key != self._key:
            self.remove()
        self._image, self._key = image, key
        self._forget_missing()
        for drawing in [one for one in self._layers if one not in drawings]:
            self._remove(drawing)
        self._waiting = {name: _content(regions, texts) for name, regions in drawings.items()}
        self._draw_next()

    def mark_outdated(self, *, outdated: bool) -> None:
        """Show drawings faded while they are out of date."""
        if outdated == self._outdated:
            return
        self._outdated = outdated
        self._forget_missing()
        for layer in self._layers.values():
            self._faded.set_faded(layer, faded=outdated)

    def remove(self) -> None:
        """Remove all drawings."""
        self._waiting = {}
        self._forget_missing()
        for drawing in list(self._layers):
            self._remove(drawing)

    def stop(self) -> None:
        """Draw no more, and leave the viewer alone, which may be closing."""
        self._waiting = {}

    def _draw_next(self) -> None:
        """Show one drawing; napari takes a while for each, so that the window lives in between."""
        image = self._image
        if not self._waiting or image is None:
            return
        if image not in self._viewer.layers:
            self.remove()
            return
        self._forget_missing()
        drawing = next(iter(self._waiting))
        new = self._waiting.pop(drawing)
        if drawing in self._layers:
            _update(self._layers[drawing], new, self._shown[drawing])
        else:
            self._layers[drawing] = self._add(image, drawing, new)
        self._shown[drawing] = new
        _fit_text(self._layers[drawing], new.height)
        self._faded.set_faded(self._layers[drawing], faded=self._outdated)
        for below in (image, *masks_of_image(self._viewer, image)):
            lift_above(self._viewer, self._layers[drawing], below)
        QTimer.singleShot(0, self._draw_next)

    def _forget_missing(self) -> None:
        """Forget drawings that left the viewer."""
        layers = self._viewer.layers
        self._layers = {name: layer for name, layer in self._layers.items() if layer in layers}
        self._faded.restore(but=self._layers.values())

    def _add(self, image: Image, drawing: Drawing, content: _Content) -> Shapes:
        source = layer_data(image)
        data, options, kind = view_layer(
            drawing,
            content.shapes,
            source,
            "shapes",
            shape_type="path",
            edge_color=content.edges,
            edge_width=max(_THINNEST, _WIDTH * max(size_of(source))),
            features={"label": content.labels},
            text={"string": "{label}", "color": _TEXTS[drawing], "scaling": True},
            opacity=1.0,
        )
        layer = add_quietly(self._viewer, Layer.create(data, options, kind))
        if not isinstance(layer, Shapes):
            raise TypeError(f"{layer.name} is no Shapes layer.")
        layer.events.editable.connect(lambda: _lock(layer))
        _lock(layer)
        return layer

    def _remove(self, drawing: Drawing) -> None:
        layer = self._layers.pop(drawing)
        self._viewer.layers.selection.discard(layer)
        self._viewer.layers.remove(layer)


def is_drawing(layer: Layer) -> bool:
    """Check whether a layer shows the regions in which an eye is measured."""
    return plugin_metadata(layer.metadata).get("view") in get_args(Drawing)


def _lock(layer: Shapes) -> None:
    """Keep a drawing from being edited; napari unlocks layers when their data change."""
    if layer.editable:
        layer.editable = False


def _content(regions: Sequence[Region], texts: Mapping[str, str]) -> _Content:
    content = _Content(height=min((region.label_height for region in regions), default=1.0))
    hours = [region for region in regions if region.name.startswith(_HOUR)]
    if hours:
        content.add(join_sectors(hours), _COLORS[_HOUR])
    for region in regions:
        color = next(color for start, color in _COLORS.items() if region.name.startswith(start))
        for border in () if region in hours else region.borders:
            ends = border.points[:1] if border.closed else border.points[:0]
            content.add(np.concatenate([border.points, ends]), color)
        row, column = region.label_at
        spot = np.array([[row, column], [row, column + _SPOT]])
        label = f"{region.label} {texts.get(region.name, '')}".strip()
        content.add(spot, "transparent", label)
    return content


def _fit_text(layer: Shapes, height: float) -> None:
    """Make text as high as its place allows, at every zoom; napari's size is in world units."""
    pixel = np.subtract(layer.data_to_world((0, 1)), layer.data_to_world((0, 0)))
    size = _POINTS * height * float(np.linalg.norm(pixel))
    if layer.text.size != size:
        layer.text.size = size


def _update(layer: Shapes, new: _Content, old: _Content) -> None:
    """Show what is new; napari takes long for each change, so that what is the same stays."""
    moved = not new.has_shapes_of(old)
    if not moved and new.labels == old.labels:
        return
    width = layer.edge_width[0]
    if moved:
        layer.data = [(shape, "path") for shape in new.shapes]
    if new.edges != old.edges:
        layer.edge_width = [width] * len(new.shapes)
        layer.edge_color = new.edges
    layer.features = {"label": new.labels}
    _lock(layer)
