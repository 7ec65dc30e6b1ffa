"""Labels layers of masks: found, added, and written by accepting a prediction."""

from typing import Literal

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import mask_layer, size_of
from napari_sam2lora.layers.insertion import set_visible
from napari_sam2lora.layers.lookup import is_linked, layer_data, masks_of_image
from napari_sam2lora.layers.metadata import image_id, target_in, with_plugin_metadata
from sam2lora.errors import GeometryError, ImageError, TargetError
from sam2lora.targets import Target
from sam2lora.types import Mask

AcceptMode = Literal["replace", "add", "empty"]


def find_mask_layer(viewer: Viewer, image: Image, target: Target) -> Labels | None:
    """Return the Labels layer that shows a target in an image, or None.

    Raises
    ------
    TargetError
        If there are several.
    """
    found = []
    for layer in masks_of_image(viewer, image):
        if target_in(layer.metadata, layer.name).name == target.name:
            found.append(layer)
    if len(found) > 1:
        names = " and ".join(layer.name for layer in found)
        raise TargetError(f"Two layers show {target.name}: {names}. Delete or rename one of them.")
    return found[0] if found else None


def accept_mask(
    viewer: Viewer, image: Image, target: Target, mask: Mask, mode: AcceptMode
) -> Labels:
    """Write an answer into the target's Labels layer, as one step that Ctrl+Z takes back.

    Parameters
    ----------
    viewer, image, target
        Where; the layer is made if it is not there, and says from then on whose it is.
    mask
        `(H, W)` bool.
    mode
        "replace": the layer becomes the answer. "add": the answer is painted into it. "empty": the
        same, and what is painted with any label keeps it.

    Raises
    ------
    ImageError
        If the layer is a stack.
    GeometryError
        If the layer has another size.
    TargetError
        If two layers show the target.
    """
    layer = find_mask_layer(viewer, image, target) or add_mask(viewer, image, target)
    if layer.data.ndim != 2:
        raise ImageError(f"{layer.name}: is a stack of shape {layer.data.shape}, not one mask.")
    if layer.data.shape != mask.shape:
        raise GeometryError(f"{layer.name} has shape {layer.data.shape}, the image {mask.shape}.")
    if not is_linked(layer):
        note = {"image": image_id(image.metadata, image.name), "target": target.name}
        layer.metadata = with_plugin_metadata(layer.metadata, **note)
    there = np.asarray(layer.data)
    label = there.dtype.type(target.label)
    if mode == "add":
        changed, wanted = mask & (there != label), label
    else:
        changed, wanted = mask & (there == 0), label
    if mode == "replace":
        # What is painted with another label, and stays, keeps it.
        changed, wanted = changed | (there != 0) & ~mask, mask * label
    # On a large mask several times as quick as `np.nonzero`.
    where = np.unravel_index(np.flatnonzero(changed), changed.shape)
    if len(where[0]):
        layer.data_setitem(where, wanted[where] if mode == "replace" else wanted)
    set_visible(layer, True)
    return layer


def add_mask(viewer: Viewer, image: Image, target: Target) -> Labels:
    """Add an empty mask of a target to a photograph, above everything else."""
    layer = layer_data(image)
    empty = np.zeros(size_of(layer), dtype=np.bool_)
    added = viewer.add_layer(Layer.create(*mask_layer(target, empty, layer)))
    added.selected_label = target.label
    return added
