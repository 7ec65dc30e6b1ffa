"""All targets in one label map, and a legend of its values."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from sam2lora.annotations.mask_files import write_values
from sam2lora.datasets.label_maps import legend_path
from sam2lora.targets import combine, get_target
from sam2lora.types import Mask
from sam2lora.utils.files import atomic_path

PRIORITY = ("vessel", "cup", "disc")
"""Where masks overlap, the first target of these wins; other targets come after them."""


def save_label_map(
    path: Path, masks: Mapping[str, Mask], *, priority: Sequence[str] = PRIORITY
) -> list[Path]:
    """Write a label map, and next to it `<stem>_legend.json`.

    Parameters
    ----------
    path
        The file, PNG or TIFF by its extension.
    masks
        Target name to `(H, W)` bool, all of the same size.
    priority
        As in `targets.combine`.

    Returns
    -------
    Paths of the two files.

    Raises
    ------
    GeometryError
        If there are no masks, or their sizes differ.
    OutputError
        If the extension is not of PNG or TIFF, or a file cannot be written.
    TargetError
        If a target is unknown.
    """
    labels = combine(masks, priority=priority)
    order = [name for name in priority if name in masks]
    order += [name for name in masks if name not in order]
    legend = {
        "file": path.name,
        "background": 0,
        "priority": order,
        "labels": {
            name: {"value": get_target(name).label, "color": get_target(name).color}
            for name in order
        },
    }
    write_values(path, labels)
    with atomic_path(legend_path(path)) as temporary:
        temporary.write_text(json.dumps(legend, indent=2) + "\n", encoding="utf-8")
    return [path, legend_path(path)]
