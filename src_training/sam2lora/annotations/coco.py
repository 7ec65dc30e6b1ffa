"""Masks as COCO annotations: run lengths in a JSON file.

The format is that of https://cocodataset.org/#format-data, with uncompressed run lengths (a list of
integers), which every reader of the format understands.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sam2lora.errors import GeometryError
from sam2lora.targets import Target, get_target
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


def coco_document(images: Iterable[tuple[str, Mapping[str, Mask]]]) -> dict[str, Any]:
    """Return masks as a COCO document, an annotation for each non-empty target of each image.

    A target's whole mask is one annotation, however many parts it has. `iscrowd` is 0, because
    readers leave crowds out of training. The ids of categories are the targets' label values.

    Parameters
    ----------
    images
        For each image its file name, and target name to `(H, W)` bool, all of the same size;
        consumed one by one, so that the masks need not be in memory together.

    Raises
    ------
    GeometryError
        If an image has no masks, or their sizes differ.
    TargetError
        If a target is unknown.
    """
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    targets: dict[str, Target] = {}
    for file_name, masks in images:
        shapes = {mask.shape for mask in masks.values()}
        if len(shapes) != 1:
            raise GeometryError(
                f"{file_name}: the masks must have the same size; found: "
                f"{sorted(shapes) or 'none'}."
            )
        height, width = shapes.pop()
        targets |= {name: get_target(name) for name in masks}
        number = len(entries) + 1
        entries.append({"id": number, "file_name": file_name, "height": height, "width": width})
        for name, mask in masks.items():
            if mask.any():
                annotation = _annotation(mask, targets[name].label)
                annotations.append({"id": len(annotations) + 1, "image_id": number} | annotation)
    return {
        "images": entries,
        "categories": [
            {"id": target.label, "name": name, "supercategory": "retina"}
            for name, target in targets.items()
        ],
        "annotations": annotations,
    }


def save_coco(path: Path, images: Iterable[tuple[str, Mapping[str, Mask]]]) -> Path:
    """Write `coco_document` as JSON.

    Raises
    ------
    GeometryError, TargetError
        As in `coco_document`.
    OutputError
        If the file cannot be written.
    """
    document = coco_document(images)
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(document) + "\n", encoding="utf-8")
    return path


def _annotation(mask: Mask, category: int) -> dict[str, Any]:
    return {
        "category_id": category,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "area": int(mask.sum()),
        "bbox": _box(mask),
        "iscrowd": 0,
    }


def _box(mask: Mask) -> list[int]:
    """Return left, top, width and height of the box around a mask."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]
