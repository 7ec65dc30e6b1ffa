"""Commands under File → IO Utilities: exports that no file ending identifies, adapter import."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info
from napari.viewer import Viewer
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_sam2lora.adapters import import_and_notify
from napari_sam2lora.layers.conversion import masks_of, pixels_of
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.lookup import layer_data, selected_image, visible_masks_of_image
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from napari_sam2lora.layers.points import find_point
from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.annotations import save_for_vascx, save_masks
from sam2lora.images.decoding import image_stem
from sam2lora.targets import FOVEA


def export_masks(viewer: Viewer) -> None:
    """Ask for a folder, and save the masks of the selected image there, one file per target."""
    with show_user_errors():
        image = selected_image(viewer)
        masks = masks_of([layer_data(layer) for layer in visible_masks_of_image(viewer, image)])
        folder = _ask_for_folder("Save one mask per target")
        if folder is not None:
            files = save_masks(folder / f"{_stem(image.metadata, image.name)}.png", masks)
            show_info(f"Saved in {folder}: {', '.join(file.name for file in files)}.")


def export_for_vascx(viewer: Viewer) -> None:
    """Ask for a folder, and save the selected image there in the VascX layout.

    With it its masks, and its fovea if a Points layer shows it.
    """
    with show_user_errors():
        image = selected_image(viewer)
        masks = masks_of([layer_data(layer) for layer in visible_masks_of_image(viewer, image)])
        layer = layer_data(image)
        pixels = pixels_of(layer)
        folder = _ask_for_folder("Folder of segmentations for VascX")
        if folder is not None:
            stem = _stem(image.metadata, image.name)
            key = image_id(image.metadata, image.name)
            point = find_point(viewer.layers, key, FOVEA.name)
            fovea = None if point is None else (point.x, point.y)
            seen = field_of_view(layer)
            files = save_for_vascx(folder, stem, pixels, seen, masks, fovea=fovea)
            names = ", ".join(str(file.relative_to(folder)) for file in files)
            show_info(f"Saved for VascX in {folder}: {names}.")


def import_adapter() -> None:
    """Ask for an adapter's `.zip` file, and install it."""
    path, _ = QFileDialog.getOpenFileName(
        QApplication.activeWindow(), "Import an adapter", "", "Adapters (*.zip)"
    )
    if path:
        with show_user_errors():
            import_and_notify(Path(path))


def _ask_for_folder(title: str) -> Path | None:
    """Show a folder dialog; return None if it was cancelled."""
    folder = QFileDialog.getExistingDirectory(QApplication.activeWindow(), title)
    return Path(folder) if folder else None


def _stem(metadata: Mapping[str, Any], name: str) -> str:
    """Return the beginning of file names: the stem of the image's file, else its layer's name."""
    path = plugin_metadata(metadata).get("path")
    return image_stem(Path(path)) if path else "_".join(name.split())
