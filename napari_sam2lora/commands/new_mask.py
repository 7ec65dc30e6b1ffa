"""Commands that add an empty mask of a target to the selected image."""

from napari.viewer import Viewer

from napari_sam2lora.layers.lookup import selected_image
from napari_sam2lora.layers.masks import add_mask, find_mask_layer
from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.errors import TargetError
from sam2lora.targets import get_target


def new_vessel_mask(viewer: Viewer) -> None:
    """Add an empty mask of the vessels."""
    _add(viewer, "vessel")


def new_disc_mask(viewer: Viewer) -> None:
    """Add an empty mask of the optic disc."""
    _add(viewer, "disc")


def new_cup_mask(viewer: Viewer) -> None:
    """Add an empty mask of the optic cup."""
    _add(viewer, "cup")


def _add(viewer: Viewer, name: str) -> None:
    with show_user_errors():
        target, image = get_target(name), selected_image(viewer)
        if existing := find_mask_layer(viewer, image, target):
            raise TargetError(f"{existing.name} already exists: paint into it.")
        add_mask(viewer, image, target).mode = "paint"
