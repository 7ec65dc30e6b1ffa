"""Find, add and write the Labels layers that hold the masks of an image."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.utils.events import Event
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, fingerprint, mask_layer, size_of
from napari_sam2lora.layers.insertion import set_visible
from napari_sam2lora.layers.lookup import is_linked, layer_data, masks_of_image
from napari_sam2lora.layers.metadata import (
    image_id,
    plugin_metadata,
    target_in,
    with_plugin_metadata,
)
from sam2lora.errors import GeometryError, ImageError, TargetError
from sam2lora.targets import Target
from sam2lora.types import Mask

SPARE = "no mask"
"""The "view" of a hidden, empty layer: its image has no mask of its target yet.

A mask layer is not removed where the next image has no such mask. Without a graphics card, napari
crashes in a later drawing if the last Labels layer leaves the viewer; and it takes a while.
"""

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
    viewer: Viewer,
    image: Image,
    target: Target,
    mask: Mask,
    mode: AcceptMode,
    *,
    confidence: float | None = None,
    corrected: bool = False,
) -> Labels:
    """Write a predicted mask into the target's Labels layer, as one undo step.

    Parameters
    ----------
    viewer
        The viewer that holds the image.
    image, target
        The image, and the target that the mask shows. The Labels layer is created if missing, and
        linked to the image.
    mask
        `(H, W)` bool.
    mode
        "replace": the layer becomes the mask, in which other labels stay. "add": the mask is added
        to the layer. "empty": the mask is added where the layer is empty.
    confidence
        How sure the prediction is, 0…1; None if that is not known.
    corrected
        Whether a user has corrected the prediction by prompts, so that it can be learned from.

    Returns
    -------
    The Labels layer.

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
        layer.metadata = with_plugin_metadata(
            layer.metadata, image=image_id(image.metadata, image.name), target=target.name
        )
    set_visible(
        layer, True
    )  # before writing: napari slices no hidden layer, and fails to redraw it
    current = np.asarray(layer.data)
    whole = mode == "replace" or not current.any()
    label = current.dtype.type(target.label)
    if mode == "add":
        changed, wanted = mask & (current != label), label
    else:
        changed, wanted = mask & (current == 0), label
    if mode == "replace":
        # Pixels of the mask that have another label keep it.
        changed, wanted = changed | (current != 0) & ~mask, mask * label
    # On a large mask several times as fast as `np.nonzero`.
    where = np.unravel_index(np.flatnonzero(changed), changed.shape)
    if len(where[0]):
        layer.data_setitem(where, wanted[where] if mode == "replace" else wanted)
    match_brush(layer)
    accepted = fingerprint(np.asarray(layer.data) != 0) if whole and not corrected else None
    layer.metadata = with_plugin_metadata(
        layer.metadata, accepted=accepted, confidence=confidence if whole else None
    )
    return layer


def add_mask(viewer: Viewer, image: Image, target: Target) -> Labels:
    """Add an empty mask of a target to an image, as the topmost layer.

    Raises
    ------
    ImageError
        If the layer is not a single image.
    GeometryError
        If the image has more than two dimensions and is rotated or sheared.
    """
    layer = layer_data(image)
    empty = np.zeros(size_of(layer), dtype=np.bool_)
    new = mask_layer(target, empty, layer)
    spare = _spare(viewer, image, target)
    if spare is not None:
        viewer.layers.selection.discard(spare)
        spare.metadata, spare.name = new[1]["metadata"], new[1]["name"]
        viewer.layers.move(viewer.layers.index(spare), len(viewer.layers))
        set_visible(spare, True)
        viewer.layers.selection.active = spare
    added = spare or viewer.add_layer(Layer.create(*new))
    match_brush(added)
    return added


def _spare(viewer: Viewer, image: Image, target: Target) -> Labels | None:
    """Return the layer of an earlier image's mask of a target, hidden and empty; or None."""
    wanted = {
        "view": SPARE,
        "target": target.name,
        "image": image_id(image.metadata, image.name),
    }
    found = (
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels) and wanted.items() <= plugin_metadata(layer.metadata).items()
    )
    return next(found, None)


def is_as_predicted(labels: Labels, mask: Mask) -> bool:
    """Check whether a mask is as it was accepted: nothing can be learned from it.

    Parameters
    ----------
    labels
        The layer of the mask.
    mask
        `(H, W)` bool: what it holds now.
    """
    accepted = plugin_metadata(labels.metadata).get("accepted")
    return accepted is not None and accepted == fingerprint(mask)


def confidence_of(labels: Labels, mask: Mask) -> float | None:
    """Return how sure the prediction is that a mask still is; None if that is not known.

    Parameters
    ----------
    labels, mask
        As for `is_as_predicted`.
    """
    if not is_as_predicted(labels, mask):
        return None
    confidence: float | None = plugin_metadata(labels.metadata).get("confidence")
    return confidence


def match_brush(labels: Labels) -> None:
    """Make the brush of a mask paint the label that the mask has.

    A brush of another label has the same color, but the bucket, "preserve labels" and "only where
    empty" would take it for another structure. A brush that fits is left alone.
    """
    try:
        label = target_in(labels.metadata, labels.name).label
    except TargetError:
        return
    values = np.asarray(labels.data)
    if not (values == label).any():
        label = int(values.max(initial=0)) or label
    if not (values == labels.selected_label).any():
        labels.selected_label = label


def match_brushes_once_shown(viewer: Viewer, layers: Sequence[LayerData]) -> None:
    """Match the brushes of masks that a reader returns, as soon as napari has added them."""
    missing = [kind for *_, kind in layers if kind == "labels"]

    def watch(event: Event) -> None:
        layer = event.value
        if isinstance(layer, Labels) and "target" in plugin_metadata(layer.metadata):
            match_brush(layer)
            missing.pop()
            if not missing:
                viewer.layers.events.inserted.disconnect(watch)

    if missing:
        viewer.layers.events.inserted.connect(watch)
