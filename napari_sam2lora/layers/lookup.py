"""Find which layers belong together: images, the masks of an image, the image of a command.

Layers that the plugin creates for an image (masks, previews, prompts, views) have the image's id in
their metadata; `linked_layers` finds them. Labels layers of other origin are matched by
`image_of_labels`, the only rule for which image a mask belongs to.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.metadata import image_id, plugin_metadata, target_in
from sam2lora.errors import ImageError, TargetError
from sam2lora.targets import all_targets

AREA = "annotated area"
"""The "view" of a layer that outlines which part of an image is annotated; its name ends so."""

_GENERIC = (
    *("", "1st", "2nd", "annotated", "blood", "corrected", "first", "grader", "ground", "gt"),
    *("labels", "manual", "mask", "masks", "my", "new", "optic", "retinal"),
    *("second", "segmentation", "truth"),
)
"""First words of a Labels layer's name that do not name an image."""


@dataclass(frozen=True, eq=False)
class MaskOwner:
    """The image a Labels layer belongs to, and how that is known.

    Attributes
    ----------
    image
        The image; None if it is not open or unknown.
    certain
        Whether the layer's metadata or name identify the image. Otherwise it was inferred from the
        size, or because it is the only image.
    """

    image: Image | None
    certain: bool


def layer_data(layer: Layer) -> LayerData:
    """Return a layer as a tuple for readers and writers."""
    data, options, kind = layer.as_layer_data_tuple()
    return data, options, kind


def layer_size(layer: Layer) -> tuple[int, ...]:
    """Return the size `(H, W)` of a layer."""
    data: Any = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(data.shape[-3:-1] if getattr(layer, "rgb", False) else data.shape[-2:])


def fundus_images(layers: Sequence[Layer]) -> list[Image]:
    """Return the Image layers that are not a view of another image."""
    images = (layer for layer in layers if isinstance(layer, Image))
    return [image for image in images if "view" not in plugin_metadata(image.metadata)]


def file_of(image: Image) -> Path | None:
    """Return the file an image was opened from, by whatever reader; None if there is none."""
    path = plugin_metadata(image.metadata).get("path") or image.source.path
    return Path(path) if path and "://" not in str(path) else None


def selected_image(viewer: Viewer) -> Image:
    """Return the image that a command applies to.

    The selected image; else the image of the selected layer; else the only image.

    Raises
    ------
    ImageError
        If there is no image, or several and none of them is selected.
    """
    images = fundus_images(viewer.layers)
    active = viewer.layers.selection.active
    if isinstance(active, Image) and active in images:
        return active
    if isinstance(active, Labels) and (owner := image_of_labels(active, images).image):
        return owner
    if active is not None:
        key = plugin_metadata(active.metadata).get("image")
        own = [image for image in images if image_id(image.metadata, image.name) == key]
        images = own or images
    if len(images) == 1:
        return images[0]
    if not images:
        raise ImageError("There is no image. Open a fundus image first.")
    names = ", ".join(image.name for image in images)
    raise ImageError(f"Several images are open: {names}. Select one of them.")


def linked_layers(layers: Sequence[Layer], key: str) -> list[Layer]:
    """Return the layers with an image's id in their metadata: masks, previews, prompts, views."""
    return [layer for layer in layers if plugin_metadata(layer.metadata).get("image") == key]


def is_linked(layer: Layer) -> bool:
    """Check whether a layer's metadata name the image it belongs to."""
    return "image" in plugin_metadata(layer.metadata)


def image_of_labels(labels: Labels, images: Sequence[Image]) -> MaskOwner:
    """Return the image a Labels layer belongs to.

    If its metadata have an image id, that alone decides. Otherwise the layer may be named after an
    image, as "eye1 disc" after "eye1". Otherwise, if its name refers to no image, as "disc" or
    "manual disc", it belongs to the only image of its size, or to the only image. "eye2 disc" is
    not taken for the open "eye1": it may be a mask of an image that was closed.
    """
    metadata = plugin_metadata(labels.metadata)
    if "image" in metadata:
        key = metadata["image"]
        own = (image for image in images if image_id(image.metadata, image.name) == key)
        return MaskOwner(next(own, None), certain=True)
    named = [image for image in images if _is_named_after(labels.name, image.name)]
    if named:
        return MaskOwner(max(named, key=lambda image: len(image.name)), certain=True)
    same_size = [image for image in images if layer_size(image) == layer_size(labels)]
    for candidates in (same_size, images):
        if len(candidates) == 1 and not _may_name_an_image(labels.name):
            return MaskOwner(candidates[0], certain=False)
    return MaskOwner(None, certain=False)


def masks_of_image(viewer: Viewer, image: Image) -> list[Labels]:
    """Return the Labels layers that show a target in an image, visible or not.

    A layer of another size is included only if its metadata or name identify the image.
    """
    images = fundus_images(viewer.layers)
    masks = []
    for layer in viewer.layers:
        if not isinstance(layer, Labels) or not _shows_a_target(layer):
            continue
        owner = image_of_labels(layer, images)
        # Equal, not identical: napari hands docks proxies of the viewer and of its layers.
        if owner.image == image and (owner.certain or layer_size(layer) == layer_size(image)):
            masks.append(layer)
    return masks


def visible_masks_of_image(viewer: Viewer, image: Image) -> list[Labels]:
    """Return the visible masks of an image; all of them if none is visible.

    Raises
    ------
    TargetError
        If the image has no masks.
    """
    masks = masks_of_image(viewer, image)
    if not masks:
        raise TargetError(
            f"{image.name} has no masks. Add one under Layers → Annotate, or rename a Labels layer "
            "of the image's size so that its name ends with vessel, disc or cup."
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
    """Check whether a name begins with an image's name as a whole word: "11" not with "1"."""
    rest = name.removeprefix(image)
    return name.startswith(image) and not rest[:1].isalnum()


def _may_name_an_image(name: str) -> bool:
    """Check whether a name begins with a word that is neither a target nor a generic one."""
    if name.strip().lower() in all_targets():
        return False
    first = re.split(r"[\W_]", name.strip().lower(), maxsplit=1)[0]
    return first not in (*_GENERIC, *all_targets())
