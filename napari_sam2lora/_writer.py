"""napari writers: masks, label map, COCO annotations, and an overlay on the image."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from napari import current_viewer

from napari_sam2lora.layers.conversion import (
    LayerData,
    layer_image_id,
    mask_of,
    masks_of,
    pixels_of,
    target_of,
)
from napari_sam2lora.layers.lookup import file_of, fundus_images
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from sam2lora.annotations import save_coco, save_label_map, save_mask, save_masks
from sam2lora.errors import GeometryError, TargetError
from sam2lora.images.decoding import image_suffix
from sam2lora.images.visualization import overlay, save_picture
from sam2lora.types import Mask

_MASKS = (".png", ".tif", ".tiff")
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
_JSON = (".json",)


def write_mask(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write the mask of one target, with values 0 and 255, as PNG or TIFF.

    Raises
    ------
    Sam2LoraError
        If the layer is not the mask of one target, or the file cannot be written.
    """
    (layer,) = _labels(layers)
    mask = mask_of(layer)
    try:
        target_of(layer)
    except TargetError as error:
        if len(np.unique(np.asarray(layer[0]))) > 2:
            raise TargetError(
                f"{error} It holds several labels, which a mask of 0 and 255 cannot distinguish; "
                "napari's own writer saves them as TIFF."
            ) from error
    return [str(save_mask(_with_ending(path, _MASKS), mask))]


def write_label_map(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write several targets as one label map, with a legend of its values next to it.

    Raises
    ------
    Sam2LoraError
        If the layers are not masks of one image, or a file cannot be written.
    """
    return [str(file) for file in save_label_map(_with_ending(path, _MASKS), _masks(layers))]


def write_masks(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write one file per target, `<stem>_<target>`, with values 0 and 255.

    Raises
    ------
    Sam2LoraError
        As `write_label_map`.
    """
    return [str(file) for file in save_masks(_with_ending(path, _MASKS), _masks(layers))]


def write_coco(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write the targets of one image as COCO annotations.

    Raises
    ------
    Sam2LoraError
        As `write_label_map`.
    """
    images = [layer_image_id(layer) for layer in layers if layer[2] == "image"]
    first = _labels(layers)[0]
    linked = plugin_metadata(first[1].get("metadata", {})).get("image") or first[1]["name"]
    key = images[0] if images else linked
    return [str(save_coco(_with_ending(path, _JSON), [(_file_name(key), _masks(layers))]))]


def write_overlay(path: str, layers: Sequence[LayerData]) -> list[str]:
    """Write an image with its masks painted over it in their targets' colors.

    Raises
    ------
    Sam2LoraError
        If the sizes of masks and image differ, or the file cannot be written.
    """
    (image,) = (layer for layer in layers if layer[2] == "image")
    pixels = pixels_of(image)
    masks = _masks(layers)
    for target, mask in masks.items():
        if mask.shape != pixels.shape[:2]:
            raise GeometryError(
                f"The {target} mask is {mask.shape[1]} × {mask.shape[0]}, but {image[1]['name']} "
                f"is {pixels.shape[1]} × {pixels.shape[0]} (width × height)."
            )
    file = _with_ending(path, _PICTURES)
    save_picture(file, overlay(pixels, masks))
    return [str(file)]


def _with_ending(path: str, endings: Sequence[str]) -> Path:
    """Return a path with the first of `endings`, unless it has one of them.

    napari proposes the name of the layer, without an ending and perhaps with dots in it. The ending
    of another kind of picture stays, and is refused where it is written.
    """
    chosen = Path(path)
    if image_suffix(chosen) in (*endings, *_PICTURES):
        return chosen
    return chosen.with_name(chosen.name + endings[0])


def _file_name(key: str) -> str:
    """Return the name of the file of an image with this id.

    An image that another reader opened has its layer's name as id; only the layer knows its file.
    """
    viewer = current_viewer()
    for image in fundus_images(viewer.layers) if viewer else ():
        if image_id(image.metadata, image.name) == key and (file := file_of(image)):
            return file.name
    return Path(key).name


def _labels(layers: Sequence[LayerData]) -> list[LayerData]:
    return [layer for layer in layers if layer[2] == "labels"]


def _masks(layers: Sequence[LayerData]) -> dict[str, Mask]:
    """Return the masks by target.

    Raises
    ------
    GeometryError
        If they belong to several images.
    ImageError
        If a layer is a stack.
    TargetError
        If a layer's target is unknown, or two layers show the same target.
    """
    labels = _labels(layers)
    linked = [plugin_metadata(layer[1].get("metadata", {})).get("image") for layer in labels]
    images = {image for image in linked if image is not None}
    if len(images) > 1:
        names = ", ".join(sorted(Path(image).name for image in images))
        raise GeometryError(
            f"The masks belong to several images: {names}. Select the masks of one image."
        )
    return masks_of(labels)
