"""Masks as COCO annotations: run lengths in a JSON file.

The format is that of https://cocodataset.org/#format-data, with uncompressed run lengths (a list of
integers), which every reader of the format understands.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sam2lora.errors import GeometryError
from sam2lora.targets import get_target
from sam2lora.types import Mask
from sam2lora.utils.files import atomic_path


def run_lengths(mask: Mask) -> list[int]:
    """Count the runs of equal pixels, column by column, starting with the background.

    Parameters
    ----------
    mask
        `(H, W)` bool.

    Returns
    -------
    Lengths that sum to `H * W`; the first is 0 if the first pixel belongs to the mask.
    """
    flat = mask.ravel(order="F")
    borders = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *borders.tolist(), flat.size]).tolist()
    return [0, *runs] if flat.size and flat[0] else runs


def coco_document(file_name: str, masks: Mapping[str, Mask]) -> dict[str, Any]:
    """Return the masks of one image as a COCO document, an annotation for each non-empty target.

    A target's whole mask is one annotation, however many parts it has. `iscrowd` is 0, because
    readers leave crowds out of training. The ids of categories are the targets' label values.

    Parameters
    ----------
    file_name
        File name of the image.
    masks
        Target name to `(H, W)` bool, all of the same size.

    Raises
    ------
    GeometryError
        If there are no masks, or their sizes differ.
    TargetError
        If a target is unknown.
    """
    shapes = {mask.shape for mask in masks.values()}
    if len(shapes) != 1:
        raise GeometryError(
            f"The masks must have the same size; found: {sorted(shapes) or 'none'}."
        )
    height, width = shapes.pop()
    targets = {name: get_target(name) for name in masks}
    present = [name for name, mask in masks.items() if mask.any()]
    return {
        "images": [{"id": 1, "file_name": file_name, "height": height, "width": width}],
        "categories": [
            {"id": target.label, "name": name, "supercategory": "retina"}
            for name, target in targets.items()
        ],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": targets[name].label,
                "segmentation": {"size": [height, width], "counts": run_lengths(masks[name])},
                "area": int(masks[name].sum()),
                "bbox": _box(masks[name]),
                "iscrowd": 0,
            }
            for number, name in enumerate(present, start=1)
        ],
    }


def save_coco(path: Path, file_name: str, masks: Mapping[str, Mask]) -> Path:
    """Write `coco_document` as JSON.

    Raises
    ------
    GeometryError, TargetError
        As in `coco_document`.
    OutputError
        If the file cannot be written.
    """
    document = coco_document(file_name, masks)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return path


def _box(mask: Mask) -> list[int]:
    """Return left, top, width and height of the box around a mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
