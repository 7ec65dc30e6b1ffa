"""The annotated region: a layer that outlines the part of an image to train and score on."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from napari.layers import Image, Labels, Layer, Shapes
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import mask_of, view_layer
from napari_sam2lora.layers.lookup import AREA, layer_data, selected_image
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from sam2lora.errors import GeometryError
from sam2lora.types import Mask


def add_annotated_area(viewer: Viewer) -> Layer:
    """Add a layer in which the annotated region of the selected image is outlined.

    Raises
    ------
    ImageError
        If it is not clear which image is meant.
    """
    image = selected_image(viewer)
    style = {"edge_color": "white", "face_color": "#ffffff30", "edge_width": 2}
    data = view_layer(AREA, [], layer_data(image), "shapes", ndim=2, **style)
    layer = viewer.add_layer(Layer.create(*data))
    layer.mode = "add_polygon"
    viewer.layers.selection.active = layer
    return layer


def area_of_image(layers: Iterable[Layer], image: Image) -> Layer | None:
    """Find the annotated region of an image in the viewer, by its metadata, else by its name."""
    key, name = image_id(image.metadata, image.name), f"{image.name} {AREA}".lower()
    layers = list(layers)
    linked = [layer for layer in layers if _is_area_of(layer, key)]
    named = [layer for layer in layers if layer.name.lower() == name]
    return next(iter([*linked, *named]), None)


def area_of_file(layers: Iterable[Layer], path: Path) -> Layer | None:
    """Find the annotated region of an image that was open before: its layer stays in the viewer."""
    return next((layer for layer in layers if _is_area_of(layer, str(path))), None)


def outside(area: Layer | None, shape: tuple[int, ...], image: Image | None = None) -> Mask | None:
    """Return what lies outside the annotated region, `(H, W)` bool; None where nothing is outlined.

    Parameters
    ----------
    area
        A Shapes layer, or a Labels layer.
    shape
        `(H, W)` of the image, in pixels.
    image
        Layer of the image, which must have the same transform.

    Raises
    ------
    GeometryError
        If the layer is of another kind or size, or its transform differs from the image's.
    """
    if area is None:
        return None
    if image is not None:
        own, expected = (
            np.concatenate([layer.scale[-2:], layer.translate[-2:]]) for layer in (area, image)
        )
        if not np.allclose(own, expected):
            raise GeometryError(
                f"{area.name}: its scale or position differs from that of {image.name}. Add it "
                "with the button “Annotated region…”."
            )
    if isinstance(area, Shapes):
        if not len(area.data):
            return None
        marked: Mask = area.to_labels(labels_shape=shape) != 0
    elif isinstance(area, Labels):
        marked = mask_of(layer_data(area))
    else:
        raise GeometryError(f"{area.name}: is not a Shapes or Labels layer.")
    if marked.shape != shape:
        raise GeometryError(f"{area.name}: its size differs from that of its image.")
    return ~marked if marked.any() else None


def _is_area_of(layer: Layer, key: str) -> bool:
    about = plugin_metadata(layer.metadata)
    return about.get("view") == AREA and about.get("image") == key
