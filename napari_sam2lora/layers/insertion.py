"""Add and show layers without taking the tool out of the user's hand."""

from napari.layers import Layer
from napari.viewer import Viewer


def add_quietly(viewer: Viewer, layer: Layer, place: int | None = None) -> Layer:
    """Add a layer, and leave the selection and the mode of the active layer as they were.

    Nobody hears of another active layer in between: who follows it would take it for the user's
    choice.

    Parameters
    ----------
    viewer
        Where to.
    layer
        The layer.
    place
        Its number from below; None for the top.
    """
    layers = viewer.layers
    active, selected = layers.selection.active, set(layers.selection)
    place = len(layers) if place is None else place
    if active is None:
        layers.insert(place, layer)
        return layer
    mode = active.mode
    with layers.selection.events.active.blocker():
        layers.insert(place, layer)
        layers.selection = selected
        layers.selection.active = active
    active.mode = mode
    return layer


def lift_above(viewer: Viewer, layer: Layer, image: Layer, place: int | None = None) -> None:
    """Move a layer that lies below an image, which would hide it, above it.

    Parameters
    ----------
    viewer, layer, image
        Where, and which; where the image is not in the viewer, the layer stays.
    place
        The number it goes before, from below; None for the top.
    """
    layers = viewer.layers
    if image in layers and layers.index(layer) < layers.index(image):
        layers.move(layers.index(layer), len(layers) if place is None else place)


def set_visible(layer: Layer, visible: bool) -> None:
    """Show or hide a layer; where nothing changes, napari would still forget the layer's mode."""
    if layer.visible != visible:
        layer.visible = visible
