"""Two graders' masks of one target as layers: both outlines, and where they differ."""

import numpy as np
from napari.layers import Image, Layer
from napari.viewer import Viewer
from scipy import ndimage

from napari_sam2lora.layers.conversion import LayerData, view_layer
from napari_sam2lora.layers.insertion import add_quietly
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from napari_sam2lora.layers.refill import remove
from sam2lora.types import Mask

FIRST, SECOND, DIFFERENT = "cyan", "magenta", "red"
"""Colors of the first grader's outline, the second's, and where they differ."""

_VIEW = "agreement: "
_OUTLINE = 2  # pixels of an outline in an image of `_SIDE`
_SIDE = 1000


def show_difference(
    viewer: Viewer,
    image: Image,
    target: str,
    masks: tuple[Mask | None, Mask | None],
    names: tuple[str, str],
) -> None:
    """Show two masks of a target above their image, in place of those shown before.

    Parameters
    ----------
    viewer
        The viewer that holds the image.
    image, target
        The image and the target.
    masks
        The graders' masks, `(H, W)` bool; None for a grader who drew none.
    names
        Their names.
    """
    hide_difference(viewer, image)
    source, layers = layer_data(image), []
    if masks[0] is not None and masks[1] is not None:
        layers.append(_layer(f"{target} differs", masks[0] ^ masks[1], DIFFERENT, 0.4, source))
    for mask, name, color in zip(masks, names, (FIRST, SECOND), strict=True):
        if mask is not None:
            layers.append(_layer(f"{target} by {name}", outline(mask), color, 1.0, source))
    for data in layers:
        layer = add_quietly(viewer, Layer.create(*data))
        layer.editable = False


def hide_difference(viewer: Viewer, image: Image) -> None:
    """Remove what `show_difference` added to an image."""
    key = image_id(image.metadata, image.name)
    found = []
    for layer in viewer.layers:
        about = plugin_metadata(layer.metadata)
        if about.get("image") == key and str(about.get("view", "")).startswith(_VIEW):
            found.append(layer)
    remove(viewer, found)


def outline(mask: Mask) -> Mask:
    """Return the edge of a mask, inside of it, a few pixels wide in large images."""
    wide = max(1, round(_OUTLINE * max(mask.shape) / _SIDE))
    inner: Mask = ndimage.binary_erosion(mask, iterations=wide, border_value=1)
    return mask & ~inner


def _layer(name: str, mask: Mask, color: str, opacity: float, image: LayerData) -> LayerData:
    data = mask.astype(np.uint8)
    layer = view_layer(
        f"{_VIEW}{name}",
        data,
        image,
        "labels",
        colormap={0: "transparent", 1: color, None: color},
        opacity=opacity,
    )
    layer[1]["name"] = f"{image[1]['name']} {name}"
    return layer
