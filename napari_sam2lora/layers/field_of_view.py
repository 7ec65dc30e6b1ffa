"""The field of view of an image in the viewer: found once, cached as long as its pixels.

The same field of view is outlined, limits clicks, and is used for segmentation, measurements and
exports: the one found in the image, as in `sam2lora predict`. Only when a mask is scored against a
reference, the dataset's own field of view is used, as in `sam2lora evaluate`.
"""

from pathlib import Path
from typing import Any
from weakref import finalize

from napari_sam2lora.layers.conversion import LayerData, pixels_of
from napari_sam2lora.layers.metadata import plugin_metadata
from sam2lora.datasets import find_record
from sam2lora.images.field_of_view import FieldOfView, find_field_of_view
from sam2lora.types import Pixels

_found: dict[int, FieldOfView] = {}  # by the id of the layer's data, while that is alive


def field_of_view(image: LayerData) -> FieldOfView:
    """Return the field of view found in an image; further calls for the same data are free.

    Raises
    ------
    ImageError
        If the layer is not a single image.
    """
    cached = known_field_of_view(image[0])
    return cached or _keep(image[0], find_field_of_view(pixels_of(image)))


def known_field_of_view(data: Any) -> FieldOfView | None:
    """Return the cached field of view of a layer's data, or None."""
    return _found.get(id(data))


def find_and_keep(pixels: Pixels) -> FieldOfView:
    """Find the field of view of pixels that become a layer's data, and cache it for the layer."""
    return _keep(pixels, find_field_of_view(pixels))


def scoring_field_of_view(image: LayerData) -> FieldOfView:
    """Return the field of view in which masks are scored: the dataset's own, else the one found.

    Raises
    ------
    Sam2LoraError
        If the dataset's field-of-view mask cannot be read, or the layer is not a single image.
    """
    path = plugin_metadata(image[1].get("metadata", {})).get("path")
    record = find_record(Path(path)) if path and Path(path).is_file() else None
    if record is None or record.fov is None:
        return field_of_view(image)
    return record.read_field_of_view()


def _keep(data: Any, field: FieldOfView) -> FieldOfView:
    """Cache a field of view as long as the data are alive."""
    try:
        finalize(data, _found.pop, id(data), None).atexit = False
    except TypeError:  # data that cannot be referenced weakly: found again each time
        return field
    _found[id(data)] = field
    return field
