"""Bring back what was not saved before a crash: masks with their undo steps, points and notes."""

from collections.abc import Mapping, Sequence
from typing import Any

from napari.layers import Image, Layer
from napari.viewer import Viewer
from numpy.typing import NDArray

from napari_sam2lora.grading.autosave import COMMENT, DOCKS, POINTS
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.insertion import add_quietly
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.mask_strokes import paint_again
from napari_sam2lora.layers.masks import add_mask, find_mask_layer
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.layers.points import LocatedPoint, point_layer, write_point
from napari_sam2lora.layers.shown_image import ShownImage
from napari_sam2lora.qt.dock_protocol import open_segment_dock, restore_notes
from sam2lora.grading import Recovery, RecoveryFile
from sam2lora.targets import get_target, selectable_targets


def bring_back(viewer: Viewer, shown: ShownImage, found: Recovery) -> list[str]:
    """Bring back what was not saved of the image that is shown.

    Parameters
    ----------
    viewer
        The viewer.
    shown
        The image.
    found
        What was found in the recovery file.

    Returns
    -------
    The targets whose masks cannot be brought back: they are of another size, or unknown here.
    """
    image = None if shown.path is None else ImageLayers(viewer).find(shown.path)
    if image is None or shown.path is None:
        return []
    by_target: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in found.arrays.items():
        target, _, part = name.rpartition(".")
        by_target.setdefault(target, {})[part] = array
    lost = [
        target for target, arrays in by_target.items() if not _paint(viewer, image, target, arrays)
    ]
    for target, point in _part(found, POINTS).items():
        _show_point(viewer, shown, image, target, point)
    docks = _part(found, DOCKS)
    if docks:
        open_segment_dock(viewer)
        restore_notes(viewer, shown.path, docks)
    return lost


def lost_text(lost: Sequence[str], file: RecoveryFile) -> str:
    """Return which targets could not be brought back, and where they are kept."""
    return f"Not brought back, as they do not fit: {', '.join(lost)}. They are kept in {file.path}."


def comment_of(found: Recovery) -> str | None:
    """Return a comment that was being typed; None if none was."""
    comment = found.notes.get(COMMENT)
    return comment if isinstance(comment, str) else None


def _part(found: Recovery, key: str) -> Mapping[str, Any]:
    part = found.notes.get(key)
    return part if isinstance(part, Mapping) else {}


def _paint(viewer: Viewer, image: Image, target: str, arrays: Mapping[str, NDArray[Any]]) -> bool:
    if target not in selectable_targets():
        return False
    wanted = get_target(target)
    layer = find_mask_layer(viewer, image, wanted) or add_mask(viewer, image, wanted)
    return paint_again(layer, arrays)


def _show_point(
    viewer: Viewer, shown: ShownImage, image: Image, target: str, point: Mapping[str, Any] | None
) -> None:
    if target not in selectable_targets():
        return
    place = None if point is None else LocatedPoint(**point)
    for layer in shown.point_layers():
        if plugin_metadata(layer.metadata)["target"] == target:
            write_point(layer, place)
            return
    if place is not None:
        data = point_layer(layer_data(image), get_target(target), place)
        add_quietly(viewer, Layer.create(*data))
