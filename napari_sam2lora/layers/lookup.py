"""Which layers a command means, by what is selected in the viewer it was given in."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.metadata import image_id, plugin_metadata, target_in
from sam2lora.errors import ImageError, TargetError
from sam2lora.targets import all_targets


def layer_data(layer: Layer) -> LayerData:
    """Give a layer as readers and writers know it."""
    data, options, kind = layer.as_layer_data_tuple()
    return data, options, kind


def selected_image(viewer: Viewer) -> Image:
    """Give the photograph that is meant.

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
    if active is not None:
        key = plugin_metadata(active.metadata).get("image")
        images = [
            image for image in images if image_id(image.metadata, image.name) == key
        ] or images
    if len(images) == 1:
        return images[0]
    if not images:
        raise ImageError("There is no image. Open a fundus photograph first.")
    names = ", ".join(image.name for image in images)
    raise ImageError(f"Several images are open: {names}. Select the one you mean.")


def masks_of_image(viewer: Viewer, image: Image) -> list[Labels]:
    """Give the Labels layers that show a target in an image, as far as they are visible.

    Those the plugin made say which image they belong to; of others, those count whose name says
    their target and whose size is the image's. If none of them is visible, all are meant.

    Raises
    ------
    TargetError
        If there are none.
    """
    masks = labels_of_image(viewer, image)
    if not masks:
        raise TargetError(
            f"{image.name} has no masks. Add one under Layers → Annotate, or let the name of a "
            "Labels layer of the image's size end in vessel, disc or cup."
        )
    return [layer for layer in masks if layer.visible] or masks


def labels_of_image(viewer: Viewer, image: Image) -> list[Labels]:
    """Give all Labels layers that show a target in an image, visible or not.

    Where several images have its size, those of others count for targets it has no own layer of.
    """
    labels = [one for one in viewer.layers if isinstance(one, Labels) and _belongs(one, image)]
    if is_alone(viewer, image):
        return labels
    own = {plugin_metadata(one.metadata).get("target") for one in labels if is_linked(one)}
    return [
        one for one in labels if is_linked(one) or target_in(one.metadata, one.name).name not in own
    ]


def linked_labels(viewer: Viewer, image: Image) -> list[Labels]:
    """Give the Labels layers that show a target in an image beyond doubt.

    One that does not say whose it is counts only where no other photograph has its size: it might
    be the other's.
    """
    alone = is_alone(viewer, image)
    return [one for one in labels_of_image(viewer, image) if alone or is_linked(one)]


def is_linked(labels: Labels) -> bool:
    """Tell whether a layer itself says which image it belongs to."""
    return "image" in plugin_metadata(labels.metadata)


def is_alone(viewer: Viewer, image: Image) -> bool:
    """Tell whether no other photograph in the viewer has an image's size."""
    sizes = [layer_size(one) for one in fundus_images(viewer.layers) if one is not image]
    return layer_size(image) not in sizes


def fundus_images(layers: Sequence[Layer]) -> list[Image]:
    """Give the Image layers that are no view of another."""
    images = (layer for layer in layers if isinstance(layer, Image))
    return [image for image in images if "view" not in plugin_metadata(image.metadata)]


def _belongs(labels: Labels, image: Image) -> bool:
    known = plugin_metadata(labels.metadata)
    if "view" in known:
        return False
    if "image" in known:
        return bool(known["image"] == image_id(image.metadata, image.name))
    try:
        target_in(labels.metadata, labels.name)
    except TargetError:
        return False
    return layer_size(labels) == layer_size(image)


def layer_size(layer: Layer) -> tuple[int, ...]:
    """Give the size `(H, W)` of what a layer shows."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(data.shape[-3:-1] if getattr(layer, "rgb", False) else data.shape[-2:])


AREA = "annotated area"
"""The view of a layer that says which part of an image was annotated, and the end of its name."""


@dataclass(frozen=True, eq=False)
class Owner:
    """The photograph a Labels layer is about, and how that is known.

    Attributes
    ----------
    image
        None if it is not open, or not known.
    certain
        The layer itself says which it is, by what was noted or by its name. Else nothing speaks for
        the image but its size.
    """

    image: Image | None
    certain: bool


def image_of(labels: Labels, images: Sequence[Image]) -> Owner:
    """Tell which photograph a Labels layer is about.

    What the plugin noted counts first, and alone. Else the layer is named after a photograph, as
    "eye1 disc" after "eye1"; else, if its name speaks of no photograph, as "disc" or "Labels",
    there is one of its size, or one altogether.
    """
    about = plugin_metadata(labels.metadata)
    if "image" in about:
        own = (one for one in images if image_id(one.metadata, one.name) == about["image"])
        return Owner(next(own, None), certain=True)
    named = [one for one in images if _is_named_after(labels.name, one.name)]
    if named:
        return Owner(max(named, key=lambda one: len(one.name)), certain=True)
    same_size = [one for one in images if layer_size(one) == layer_size(labels)]
    for found in (same_size, images):
        if len(found) == 1 and not _may_name_an_image(labels.name):
            return Owner(found[0], certain=False)
    return Owner(None, certain=False)


def _is_named_after(name: str, image: str) -> bool:
    """Tell whether a name begins with that of an image, as words do: "11" does not with "1"."""
    rest = name.removeprefix(image)
    return name.startswith(image) and not rest[:1].isalnum()


def _may_name_an_image(name: str) -> bool:
    """Tell whether a name begins with other words than napari's own, or a target."""
    first = re.split(r"[\W_]", name.strip().lower(), maxsplit=1)[0]
    return first not in ("", "labels", *all_targets())
