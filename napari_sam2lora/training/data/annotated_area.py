"""The annotated area: a layer that says which part of an image counts; the rest is left out."""

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
    """Add a layer to outline what was annotated in the chosen image; the rest is left out.

    Raises
    ------
    ImageError
        If it is not clear which image is meant.
    """
    image = selected_image(viewer)
    look = {"edge_color": "white", "face_color": "#ffffff30", "edge_width": 2}
    data = view_layer(AREA, [], layer_data(image), "shapes", ndim=2, **look)
    layer = viewer.add_layer(Layer.create(*data))
    layer.mode = "add_polygon"
    viewer.layers.selection.active = layer
    return layer


def area_of_image(layers: Iterable[Layer], image: Image) -> Layer | None:
    """Find the annotated area of an image in the viewer, by what was noted or by name."""
    key, named = image_id(image.metadata, image.name), f"{image.name} {AREA}".lower()
    layers = list(layers)
    own = [one for one in layers if _is_area_of(one, key)]
    return next(iter([*own, *(one for one in layers if one.name.lower() == named)]), None)


def area_of_file(layers: Iterable[Layer], path: Path) -> Layer | None:
    """Find the annotated area of a photograph that was open before: its layer stays."""
    return next((one for one in layers if _is_area_of(one, str(path))), None)


def outside(area: Layer | None, shape: tuple[int, ...], image: Image | None = None) -> Mask | None:
    """Give what lies outside the annotated area; None where that is everything, or not said.

    Parameters
    ----------
    area
        A Shapes layer, or a Labels layer.
    shape
        `(H, W)` of the image.
    image
        Its layer, over which the area has to lie.

    Raises
    ------
    GeometryError
        If the layer is of another kind or size, or lies elsewhere.
    """
    if area is None:
        return None
    if image is not None:
        places = [np.concatenate([one.scale[-2:], one.translate[-2:]]) for one in (area, image)]
        if not np.allclose(*places):
            raise GeometryError(
                f"{area.name}: lies otherwise than {image.name}. Add it by the button Area…"
            )
    if isinstance(area, Shapes):
        if not len(area.data):
            return None
        marked: Mask = area.to_labels(labels_shape=shape) != 0
    elif isinstance(area, Labels):
        marked = mask_of(layer_data(area))
    else:
        raise GeometryError(f"{area.name}: is no Shapes or Labels layer.")
    if marked.shape != shape:
        raise GeometryError(f"{area.name}: is not of the size of its image.")
    return ~marked if marked.any() else None


def _is_area_of(layer: Layer, key: str) -> bool:
    about = plugin_metadata(layer.metadata)
    return about.get("view") == AREA and about.get("image") == key
