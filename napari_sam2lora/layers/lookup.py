"""Which layers belong together: images, the masks of an image, and the layer a command means.

What the plugin adds about an image (masks, previews, prompts, views) names the image's id in its
metadata; `linked_layers` finds it. Labels layers of other origin are matched by `image_of_labels`,
the one rule for which image a mask belongs to.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.metadata import image_id, plugin_metadata, target_in
from sam2lora.errors import ImageError, TargetError
from sam2lora.targets import all_targets

AREA = "annotated area"
"""The view of a layer that says which part of an image was annotated, and the end of its name."""


_GENERIC = ("", "labels", "mask", "masks", "my", "new", "optic", "retinal", "segmentation")
"""First words of a Labels layer's name that name no image."""


@dataclass(frozen=True, eq=False)
class MaskOwner:
    """The image a Labels layer belongs to, and how that is known.

    Attributes
    ----------
    image
        None if it is not open, or not known.
    certain
        The layer itself says which it is, by its metadata or its name. Else nothing speaks for the
        image but its size, or that it is the only one.
    """

    image: Image | None
    certain: bool


def layer_data(layer: Layer) -> LayerData:
    """Return a layer as readers and writers know it."""
    data, options, kind = layer.as_layer_data_tuple()
    return data, options, kind


def layer_size(layer: Layer) -> tuple[int, ...]:
    """Return the size `(H, W)` of what a layer shows."""
    data: Any = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(data.shape[-3:-1] if getattr(layer, "rgb", False) else data.shape[-2:])


def fundus_images(layers: Sequence[Layer]) -> list[Image]:
    """Return the Image layers that are no view of another."""
    images = (layer for layer in layers if isinstance(layer, Image))
    return [image for image in images if "view" not in plugin_metadata(image.metadata)]


def selected_image(viewer: Viewer) -> Image:
    """Return the image a command means.

    The selected image; else the one the selected layer belongs to; else the only one there is.

    Raises
    ------
    ImageError
        If that leaves none, or several.
    """
    images = fundus_images(viewer.layers)
    active = viewer.layers.selection.active
    if isinstance(active, Image) and active in images:
        return active
    if isinstance(active, Labels) and (owner := image_of_labels(active, images).image):
        return owner
    if active is not None:
        key = plugin_metadata(active.metadata).get("image")
        images = [one for one in images if image_id(one.metadata, one.name) == key] or images
    if len(images) == 1:
        return images[0]
    if not images:
        raise ImageError("There is no image. Open a fundus image first.")
    names = ", ".join(image.name for image in images)
    raise ImageError(f"Several images are open: {names}. Select the one you mean.")


def linked_layers(layers: Sequence[Layer], key: str) -> list[Layer]:
    """Return the layers whose metadata name an image's id: its masks, previews, prompts, views."""
    return [one for one in layers if plugin_metadata(one.metadata).get("image") == key]


def is_linked(layer: Layer) -> bool:
    """Check whether a layer's metadata name the image it belongs to."""
    return "image" in plugin_metadata(layer.metadata)


def image_of_labels(labels: Labels, images: Sequence[Image]) -> MaskOwner:
    """Return the image a Labels layer belongs to.

    The image's id in its metadata counts first, and alone. Else the layer is named after an image,
    as "eye1 disc" after "eye1"; else, if its name speaks of no image, as "disc" or "Labels", it
    belongs to the only image of its size, or to the only image.
    """
    metadata = plugin_metadata(labels.metadata)
    if "image" in metadata:
        own = (one for one in images if image_id(one.metadata, one.name) == metadata["image"])
        return MaskOwner(next(own, None), certain=True)
    named = [one for one in images if _is_named_after(labels.name, one.name)]
    if named:
        return MaskOwner(max(named, key=lambda one: len(one.name)), certain=True)
    same_size = [one for one in images if layer_size(one) == layer_size(labels)]
    for candidates in (same_size, images):
        if len(candidates) == 1 and not _may_name_an_image(labels.name):
            return MaskOwner(candidates[0], certain=False)
    return MaskOwner(None, certain=False)


def masks_of_image(viewer: Viewer, image: Image) -> list[Labels]:
    """Return the Labels layers that show a target in an image, visible or not.

    A layer of another size counts only where it says itself that it belongs to the image.
    """
    images = fundus_images(viewer.layers)
    masks = []
    for layer in viewer.layers:
        if not isinstance(layer, Labels) or not _shows_a_target(layer):
            continue
        owner = image_of_labels(layer, images)
        if owner.image is image and (owner.certain or layer_size(layer) == layer_size(image)):
            masks.append(layer)
    return masks


def visible_masks_of_image(viewer: Viewer, image: Image) -> list[Labels]:
    """Return the masks of an image that are visible; if none of them is, all of them.

    Raises
    ------
    TargetError
        If there are none.
    """
    masks = masks_of_image(viewer, image)
    if not masks:
        raise TargetError(
            f"{image.name} has no masks. Add one under Layers → Annotate, or let the name of a "
            "Labels layer of the image's size end in vessel, disc or cup."
        )
    return [layer for layer in masks if layer.visible] or masks


def _shows_a_target(labels: Labels) -> bool:
    if "view" in plugin_metadata(labels.metadata):
        return False
    try:
        target_in(labels.metadata, labels.name)
    except TargetError:
        return False
    return True


def _is_named_after(name: str, image: str) -> bool:
    """Check whether a name begins with that of an image, as words do: "11" does not with "1"."""
    rest = name.removeprefix(image)
    return name.startswith(image) and not rest[:1].isalnum()


def _may_name_an_image(name: str) -> bool:
    """Check whether a name begins with a word that is neither a target nor says what masks are."""
    first = re.split(r"[\W_]", name.strip().lower(), maxsplit=1)[0]
    return first not in (*_GENERIC, *all_targets())
