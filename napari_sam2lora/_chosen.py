"""Which layers a command means, by what is selected in the viewer it was given in."""

from collections.abc import Sequence

from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora._layers import LayerData
from napari_sam2lora._metadata import key_in, noted, target_in
from sam2lora.errors import ImageError, TargetError


def data_of(layer: Layer) -> LayerData:
    """Give a layer as readers and writers know it."""
    data, options, kind = layer.as_layer_data_tuple()
    return data, options, kind


def chosen_image(viewer: Viewer) -> Image:
    """Give the photograph that is meant.

    The selected image; else the one the selected layer belongs to; else the only one there is.

    Raises
    ------
    ImageError
        If that leaves none, or several.
    """
    images = photographs(viewer.layers)
    active = viewer.layers.selection.active
    if isinstance(active, Image) and active in images:
        return active
    if active is not None:
        key = noted(active.metadata).get("image")
        images = [image for image in images if key_in(image.metadata, image.name) == key] or images
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
    own = {noted(one.metadata).get("target") for one in labels if is_noted(one)}
    return [
        one for one in labels if is_noted(one) or target_in(one.metadata, one.name).name not in own
    ]


def sure_labels_of_image(viewer: Viewer, image: Image) -> list[Labels]:
    """Give the Labels layers that show a target in an image beyond doubt.

    One that does not say whose it is counts only where no other photograph has its size: it might
    be the other's.
    """
    alone = is_alone(viewer, image)
    return [one for one in labels_of_image(viewer, image) if alone or is_noted(one)]


def is_noted(labels: Labels) -> bool:
    """Tell whether a layer itself says which image it belongs to."""
    return "image" in noted(labels.metadata)


def is_alone(viewer: Viewer, image: Image) -> bool:
    """Tell whether no other photograph in the viewer has an image's size."""
    sizes = [size_of_layer(one) for one in photographs(viewer.layers) if one is not image]
    return size_of_layer(image) not in sizes


def photographs(layers: Sequence[Layer]) -> list[Image]:
    """Give the Image layers that are no view of another."""
    images = (layer for layer in layers if isinstance(layer, Image))
    return [image for image in images if "view" not in noted(image.metadata)]


def _belongs(labels: Labels, image: Image) -> bool:
    known = noted(labels.metadata)
    if "view" in known:
        return False
    if "image" in known:
        return bool(known["image"] == key_in(image.metadata, image.name))
    try:
        target_in(labels.metadata, labels.name)
    except TargetError:
        return False
    return size_of_layer(labels) == size_of_layer(image)


def size_of_layer(layer: Layer) -> tuple[int, ...]:
    """Give the size `(H, W)` of what a layer shows."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    return tuple(data.shape[-3:-1] if getattr(layer, "rgb", False) else data.shape[-2:])
