"""Turn images and masks into napari's layers, and layers, whoever made them, into images and masks.

Here alone, arrays meet layers. Positions in the metadata are `(x, y)` in native pixels, as
everywhere in `sam2lora`; scale and translate are napari's, by row and column.
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam2lora.layers.metadata import METADATA_KEY, image_id, target_in
from sam2lora.datasets import Record
from sam2lora.errors import GeometryError, ImageError, TargetError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.images.reading import FundusImage, to_rgb
from sam2lora.targets import Target, all_targets
from sam2lora.types import Mask, Pixels

LayerData = tuple[Any, dict[str, Any], str]
"""A layer as readers give it and writers get it: data, arguments of its class, and its type."""


def fundus_layers(
    name: str,
    image: FundusImage,
    fov: FieldOfView,
    masks: Mapping[str, Mask],
    *,
    record: Record | None = None,
    listed_in: Path | None = None,
) -> list[LayerData]:
    """Make the layers of one photograph: the image, and above it a Labels layer for each mask.

    Fine structures lie above compact ones, so that neither hides the other.

    Parameters
    ----------
    name
        Name of the image's layer, and the beginning of those of its masks.
    image
        The photograph; its pixels are not copied.
    fov
        Its field of view.
    masks
        Target name to `(H, W)` bool.
    record
        What a data set says about the image.
    listed_in
        The folder that was opened, where the image is the first of several.
    """
    unit = "pixel" if image.spacing is None else "mm"
    place = {
        "scale": image.spacing or (1.0, 1.0),
        "translate": (0.0, 0.0),
        "units": (unit, unit),
    }
    about = _about_image(image, fov, record, listed_in)
    options = {"name": name, "rgb": True, "metadata": {METADATA_KEY: about}, **place}
    layers: list[LayerData] = [(image.pixels, options, "image")]
    targets = [target for target in all_targets().values() if target.name in masks]
    return layers + [
        mask_layer(target, masks[target.name], layers[0])
        for target in sorted(targets, key=lambda target: target.detail == "tiles")
    ]


def mask_layer(target: Target, mask: Mask, image: LayerData) -> LayerData:
    """Make the Labels layer of one target, lying where its image lies.

    What is painted into it with any label is shown in the target's color and belongs to it.

    Parameters
    ----------
    target
        What the mask shows.
    mask
        `(H, W)` bool.
    image
        The layer of the image it belongs to.
    """
    about = {"target": target.name, "image": layer_image_id(image), "saved": fingerprint(mask)}
    options = {
        "name": f"{image[1]['name']} {target.name}",
        "colormap": {0: "transparent", target.label: target.color, None: target.color},
        "opacity": 0.5,
        "metadata": {METADATA_KEY: about},
        **transform_of(image),
    }
    return mask.astype(np.uint8) * np.uint8(target.label), options, "labels"


def view_layer(view: str, data: Any, image: LayerData, kind: str, **options: Any) -> LayerData:
    """Make a layer that shows an image in another way, lying where the image lies.

    Parameters
    ----------
    view
        What it shows, in words.
    data
        Of the layer; positions are (row, column) in the image's pixels.
    image
        The layer of the image.
    kind
        The layer's type.
    **options
        Further arguments of the layer's class.
    """
    about = {"view": view, "image": layer_image_id(image)}
    name = f"{image[1]['name']} {view}"
    place = transform_of(image)
    return data, {"name": name, "metadata": {METADATA_KEY: about}, **place, **options}, kind


def fingerprint(mask: Mask) -> int:
    """Give a number by which a mask is told from what becomes of it."""
    return zlib.crc32(np.packbits(mask).tobytes())


def layer_image_id(image: LayerData) -> str:
    """Give what the layers of an image name it by, as `image_id`."""
    return image_id(image[1].get("metadata", {}), image[1]["name"])


def size_of(image: LayerData) -> tuple[int, int]:
    """Give the size `(H, W)` of the photograph in an Image layer, without looking at its pixels.

    Raises
    ------
    ImageError
        If it is no single photograph.
    """
    shape = tuple(_finest(image).shape)
    if image[1].get("rgb"):
        if len(shape) == 3:
            return shape[:2]
    else:
        while len(shape) > 2 and shape[0] == 1:
            shape = shape[1:]
        if len(shape) == 2 or (len(shape) == 3 and shape[0] == 3):
            return shape[-2:]
    raise ImageError(
        f"{image[1]['name']}: is a stack of shape {shape}. Choose one photograph: grey (H, W), "
        "channels first (3, H, W), or a layer that napari shows as RGB."
    )


def pixels_of(image: LayerData) -> Pixels:
    """Give the pixels of an Image layer, as `(H, W, 3)` uint8 RGB by the rules of `read_image`.

    Grey and RGB, integers and floating point, whole or in chunks (dask) are understood; of an image
    in several resolutions the finest is taken, and `(3, H, W)` is taken for the channels.

    Raises
    ------
    ImageError
        If it is no single photograph, or its values are not an image's.
    """
    size_of(image)
    values = _values(image)
    if not image[1].get("rgb"):
        values = _without_single_slices(values)
    return to_rgb(values, image[1]["name"])[0]


def mask_of(labels: LayerData) -> Mask:
    """Give what is painted into a Labels layer, with whatever label: `(H, W)` bool.

    Raises
    ------
    ImageError
        If the layer has more than two dimensions.
    """
    values = _without_single_slices(_values(labels))
    if values.ndim != 2:
        raise ImageError(
            f"{labels[1]['name']}: is a stack of shape {values.shape}; the mask of one image has "
            "two dimensions (H, W)."
        )
    mask: Mask = values != 0
    return mask


def target_of(labels: LayerData) -> Target:
    """Tell which target a Labels layer shows: by its metadata, else by the last word of its name.

    Raises
    ------
    TargetError
        If neither says it.
    """
    return target_in(labels[1].get("metadata", {}), labels[1]["name"])


def masks_of(labels: Sequence[LayerData]) -> dict[str, Mask]:
    """Give the masks of several Labels layers by their targets.

    Raises
    ------
    ImageError
        If a layer is no mask of one image.
    TargetError
        If a layer's target is not known, or two show the same one.
    """
    shown: dict[str, LayerData] = {}
    for layer in labels:
        target = target_of(layer).name
        if target in shown:
            raise TargetError(
                f"Two layers show {target}: {shown[target][1]['name']} and {layer[1]['name']}. "
                "Choose one of them."
            )
        shown[target] = layer
    return {target: mask_of(layer) for target, layer in shown.items()}


def transform_of(layer: LayerData) -> dict[str, Any]:
    """Say where a layer lies, for another to lie there: every part, or napari takes another's.

    Raises
    ------
    GeometryError
        If a layer of more than two dimensions is turned or sheared.
    """
    _, options, _ = layer
    place = {part: options[part] for part in ("scale", "translate", "units")}
    turned = {part: options[part] for part in ("rotate", "shear", "affine") if part in options}
    if len(place["scale"]) == 2:
        return place | turned
    straight = not np.any(options["shear"]) and all(
        np.allclose(options[part], np.eye(len(options["scale"]) + extra))
        for part, extra in (("rotate", 0), ("affine", 1))
    )
    if not straight:
        raise GeometryError(
            f"{options['name']}: is turned or sheared in more than two dimensions. Choose a "
            "flat image, or reset its transform."
        )
    return {part: tuple(values[-2:]) for part, values in place.items()}


def spacing_of(image: LayerData) -> tuple[float, float] | None:
    """Give the millimetres per pixel (row, column), where the layer's units are lengths."""
    lengths = [
        step * unit
        for step, unit in zip(image[1]["scale"][-2:], image[1]["units"][-2:], strict=True)
    ]
    if not all(length.check("[length]") for length in lengths):
        return None
    row, column = (float(length.to("mm").magnitude) for length in lengths)
    return row, column


def _values(layer: LayerData) -> NDArray[Any]:
    """Give a layer's data as one array in memory."""
    return np.asarray(_finest(layer))


def _finest(layer: LayerData) -> Any:
    data, options, _ = layer
    return data[0] if options.get("multiscale") else data


def _without_single_slices(values: NDArray[Any]) -> NDArray[Any]:
    """Leave out leading dimensions of one, which some readers add."""
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    return values


def _about_image(
    image: FundusImage, fov: FieldOfView, record: Record | None, listed_in: Path | None
) -> dict[str, Any]:
    return {
        "path": None if image.path is None else str(image.path),
        "fov": {"center": fov.center, "diameter": fov.diameter, "found": fov.found},
        "eye": image.eye,
        "dataset": record and record.dataset,
        "patient": record and record.patient,
        "split": record and record.split,
        "spacing": image.spacing,
        "note": image.note,
        "listed_in": None if listed_in is None else str(listed_in),
    }
