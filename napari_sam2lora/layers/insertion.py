"""Add, move, show and fill layers without changing the active tool."""

from collections.abc import Sequence

import numpy as np
from napari.layers import Layer, Points
from napari.viewer import Viewer


def add_quietly(viewer: Viewer, layer: Layer, index: int | None = None) -> Layer:
    """Add a layer, keeping the selection and the mode of the active layer.

    No event announces another active layer in between, since listeners would take it for the user's
    choice.

    Parameters
    ----------
    viewer
        The viewer to add to.
    layer
        The layer to add.
    index
        Position from below; None for the top.

    Returns
    -------
    The layer.
    """
    layers = viewer.layers
    active, selected = layers.selection.active, set(layers.selection)
    index = len(layers) if index is None else index
    if active is None:
        layers.insert(index, layer)
        return layer
    mode = active.mode
    with layers.selection.events.active.blocker():
        layers.insert(index, layer)
        layers.selection = selected
        layers.selection.active = active
    active.mode = mode
    return layer


def lift_above(viewer: Viewer, layer: Layer, image: Layer, index: int | None = None) -> None:
    """Move a layer above an image that lies over it and would hide it.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.
    layer
        The layer to move.
    image
        The image; if it is not in the viewer, nothing is moved.
    index
        Position to insert the layer at, from below; None for the top.
    """
    layers = viewer.layers
    if image in layers and layers.index(layer) < layers.index(image):
        layers.move(layers.index(layer), len(layers) if index is None else index)


def set_visible(layer: Layer, visible: bool) -> None:
    """Show or hide a layer; setting an unchanged value would make napari reset the layer's mode."""
    if layer.visible != visible:
        layer.visible = visible


def set_points(layer: Points, points: Sequence[tuple[float, float]]) -> None:
    """Replace the points of a layer: (row, column) each.

    napari does not slice a hidden layer, and then fails with an `IndexError` as soon as anything
    asks for the colors of points that are there no longer (seen with 0.9.2).
    """
    layer.selected_data = set()
    layer.data = np.array(points, float).reshape(-1, 2)
    if not layer.visible:
        layer.set_view_slice()
