"""Convert images and masks to napari layers, and layers of any origin to images and masks.

This is the only module that converts between arrays and layers. Positions in the metadata are
`(x, y)` in native pixels, as everywhere in `sam2lora`; scale and translate are napari's
(row, column).
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
"""A layer as npe2 readers return and writers receive it: data, constructor arguments, type."""


def fundus_layers(
    name: str,
    image: FundusImage,
    fov: FieldOfView,
    masks: Mapping[str, Mask],
    *,
    record: Record | None = None,
    listed_in: Path | None = None,
) -> list[LayerData]:
    """Create the layers of one image: the image, and above it a Labels layer for each mask.

    Fine structures lie above compact ones, so that neither hides the other.

    Parameters
    ----------
    name
        Name of the Image layer; the names of the masks begin with it.
    image
        The image; its pixels are not copied.
    fov
        Its field of view.
    masks
        Target name to `(H, W)` bool.
    record
        The image's entry in its dataset, if it belongs to one.
    listed_in
        The folder that was opened, if the image is the first of several in it.
    """
    unit = "pixel" if image.spacing is None else "mm"
    transform = {
        "scale": image.spacing or (1.0, 1.0),
        "translate": (0.0, 0.0),
        "units": (unit, unit),
    }
    metadata = _image_metadata(image, fov, record, listed_in)
    options = {"name": name, "rgb": True, "metadata": {METADATA_KEY: metadata}, **transform}
    layers: list[LayerData] = [(image.pixels, options, "image")]
    targets = [target for target in all_targets().values() if target.name in masks]
    return layers + [
        mask_layer(target, masks[target.name], layers[0])
        for target in sorted(targets, key=lambda target: target.detail == "tiles")
    ]


def mask_layer(target: Target, mask: Mask, image: LayerData) -> LayerData:
    """Create the Labels layer of one target, aligned with its image.

    Whatever label is painted into it has the target's color and belongs to the mask.

    Parameters
    ----------
    target
        The target that the mask shows.
    mask
        `(H, W)` bool.
    image
        The layer of the image it belongs to.
    """
    metadata = {"target": target.name, "image": layer_image_id(image), "saved": fingerprint(mask)}
    options = {
        "name": f"{image[1]['name']} {target.name}",
        "colormap": {0: "transparent", target.label: target.color, None: target.color},
        "opacity": 0.5,
        "metadata": {METADATA_KEY: metadata},
        **transform_of(image),
    }
    return mask.astype(np.uint8) * np.uint8(target.label), options, "labels"


def view_layer(view: str, data: Any, image: LayerData, kind: str, **options: Any) -> LayerData:
    """Create a layer derived from an image, aligned with it.

    Parameters
    ----------
    view
        What the layer shows, such as "green"; the layer's name ends with it.
    data
        The layer's data; positions are (row, column) in the image's pixels.
    image
        The layer of the image.
    kind
        The layer's type, such as "image" or "labels".
    **options
        Further arguments of the layer's class.
    """
    metadata = {"view": view, "image": layer_image_id(image)}
    name = f"{image[1]['name']} {view}"
    transform = transform_of(image)
    return data, {"name": name, "metadata": {METADATA_KEY: metadata}, **transform, **options}, kind


def fingerprint(mask: Mask) -> int:
    """Return a checksum of a mask, by which a change is noticed."""
    return zlib.crc32(np.packbits(mask).tobytes())


def layer_image_id(image: LayerData) -> str:
    """Return the id of an image, as `image_id`."""
    return image_id(image[1].get("metadata", {}), image[1]["name"])


def size_of(image: LayerData) -> tuple[int, int]:
    """Return the size `(H, W)` of the image in an Image layer, without reading its pixels.

    Raises
    ------
    ImageError
        If the layer is not a single image.
    """
    shape, rgb = tuple(_finest(image).shape), bool(image[1].get("rgb"))
    while len(shape) > 2 + rgb and shape[0] == 1:
        shape = shape[1:]
    if rgb and len(shape) == 3:
        return shape[:2]
    if not rgb and (len(shape) == 2 or (len(shape) == 3 and shape[0] == 3)):
        return shape[-2:]
    raise ImageError(
        f"{image[1]['name']}: is a stack of shape {shape}, not a single image. Choose a grey image "
        "(H, W), channels first (3, H, W), or a layer that napari shows as RGB."
    )


def pixels_of(image: LayerData) -> Pixels:
    """Return the pixels of an Image layer, as `(H, W, 3)` uint8 RGB by the rules of `read_image`.

    Grey and RGB, integer and floating-point, NumPy and dask data are supported. Of a multiscale
    image the finest level is used; `(3, H, W)` is channels first.

    Raises
    ------
    ImageError
        If the layer is not a single image, or its values are not valid for an image.
    """
    size_of(image)
    values = _without_single_slices(_values(image), dimensions=2 + bool(image[1].get("rgb")))
    return to_rgb(values, image[1]["name"])[0]


def mask_of(labels: LayerData) -> Mask:
    """Return where a Labels layer is painted, with whatever label: `(H, W)` bool.

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
    """Return the target of a Labels layer, from its metadata or the last word of its name.

    Raises
    ------
    TargetError
        If neither names a known target.
    """
    return target_in(labels[1].get("metadata", {}), labels[1]["name"])


def masks_of(labels: Sequence[LayerData]) -> dict[str, Mask]:
    """Return the masks of several Labels layers, by target name.

    Raises
    ------
    ImageError
        If a layer is a stack.
    TargetError
        If a layer's target is unknown, or two layers show the same target.
    """
    by_target: dict[str, LayerData] = {}
    for layer in labels:
        target = target_of(layer).name
        if target in by_target:
            raise TargetError(
                f"Two layers show {target}: {by_target[target][1]['name']} and "
                f"{layer[1]['name']}. Choose one of them."
            )
        by_target[target] = layer
    return {target: mask_of(layer) for target, layer in by_target.items()}


def transform_of(layer: LayerData) -> dict[str, Any]:
    """Return a layer's transform and units, as constructor arguments for a layer aligned with it.

    All parts are set, since napari copies a missing one from the selected layer.

    Raises
    ------
    GeometryError
        If a layer of more than two dimensions is rotated or sheared.
    """
    _, options, _ = layer
    transform = {part: options[part] for part in ("scale", "translate", "units")}
    rotation = {part: options[part] for part in ("rotate", "shear", "affine") if part in options}
    if len(transform["scale"]) == 2:
        return transform | rotation
    straight = not np.any(options["shear"]) and all(
        np.allclose(options[part], np.eye(len(options["scale"]) + extra))
        for part, extra in (("rotate", 0), ("affine", 1))
    )
    if not straight:
        raise GeometryError(
            f"{options['name']}: is rotated or sheared in more than two dimensions. Choose a "
            "2D image, or reset the layer's transform."
        )
    return {part: tuple(values[-2:]) for part, values in transform.items()}


def spacing_of(image: LayerData) -> tuple[float, float] | None:
    """Return the pixel spacing (row, column) in mm; None if the layer's units are not lengths."""
    lengths = [
        step * unit
        for step, unit in zip(image[1]["scale"][-2:], image[1]["units"][-2:], strict=True)
    ]
    if not all(length.check("[length]") for length in lengths):
        return None
    row, column = (float(length.to("mm").magnitude) for length in lengths)
    return row, column


def _values(layer: LayerData) -> NDArray[Any]:
    """Return a layer's data as one array in memory."""
    return np.asarray(_finest(layer))


def _finest(layer: LayerData) -> Any:
    data, options, _ = layer
    return data[0] if options.get("multiscale") else data


def _without_single_slices(values: NDArray[Any], *, dimensions: int = 2) -> NDArray[Any]:
    """Remove leading dimensions of size one, which some readers add, down to `dimensions`."""
    while values.ndim > dimensions and values.shape[0] == 1:
        values = values[0]
    return values


def _image_metadata(
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
