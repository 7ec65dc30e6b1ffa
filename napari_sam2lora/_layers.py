"""Turn images and masks into napari's layers.

Here alone, arrays meet layers. Positions in the metadata are `(x, y)` in native pixels, as
everywhere in `sam2lora`; scale and translate are napari's, by row and column.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2lora.datasets import Record
from sam2lora.field_of_view import FieldOfView
from sam2lora.images import FundusImage
from sam2lora.targets import Target, all_targets

LayerData = tuple[NDArray[Any], dict[str, Any], str]
"""A layer as readers give it: data, keyword arguments of its class, and its type."""

METADATA_KEY = "sam2lora"
"""Key in a layer's metadata under which the plugin keeps what it knows."""


def fundus_layers(
    name: str,
    image: FundusImage,
    fov: FieldOfView,
    masks: Mapping[str, NDArray[np.bool_]],
    *,
    record: Record | None = None,
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
    """
    place = _placement(image.spacing)
    about = _about_image(image, fov, record)
    layers: list[LayerData] = [
        (
            image.pixels,
            {"name": name, "rgb": True, "metadata": {METADATA_KEY: about}, **place},
            "image",
        )
    ]
    targets = [target for target in all_targets().values() if target.name in masks]
    for target in sorted(targets, key=lambda target: target.detail == "tiles"):
        metadata = {METADATA_KEY: {"target": target.name, "image": about["path"]}}
        options = {
            "name": f"{name} {target.name}",
            "colormap": _colormap(target),
            "opacity": 0.5,
            "metadata": metadata,
            **place,
        }
        data = masks[target.name].astype(np.uint8) * np.uint8(target.label)
        layers.append((data, options, "labels"))
    return layers


def _placement(spacing: tuple[float, float] | None) -> dict[str, Any]:
    """Say where a layer lies: every part is given, or napari might take another layer's."""
    unit = "pixel" if spacing is None else "mm"
    return {"scale": spacing or (1.0, 1.0), "translate": (0.0, 0.0), "units": (unit, unit)}


def _colormap(target: Target) -> dict[int | None, str]:
    """Give any value the target's color: what is painted with another label belongs to it too."""
    return {0: "transparent", target.label: target.color, None: target.color}


def _about_image(image: FundusImage, fov: FieldOfView, record: Record | None) -> dict[str, Any]:
    return {
        "path": None if image.path is None else str(image.path),
        "fov": {"center": fov.center, "diameter": fov.diameter, "found": fov.found},
        "eye": image.eye,
        "dataset": record and record.dataset,
        "patient": record and record.patient,
        "split": record and record.split,
        "spacing": image.spacing,
        "note": image.note,
    }
