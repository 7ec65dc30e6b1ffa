"""Commands that add an empty mask of a target to a photograph, to be painted."""

from napari.layers import Image, Labels
from napari.viewer import Viewer

from napari_sam2lora.layers.lookup import selected_image
from napari_sam2lora.layers.masks import add_mask
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.errors import TargetError
from sam2lora.targets import Target, get_target


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
        for layer in viewer.layers:
            if isinstance(layer, Labels) and _is_of(layer, image, target):
                raise TargetError(f"{layer.name} is there already: paint into it.")
        add_mask(viewer, image, target).mode = "paint"


def _is_of(layer: Labels, image: Image, target: Target) -> bool:
    known = plugin_metadata(layer.metadata)
    return (known.get("target"), known.get("image")) == (
        target.name,
        image_id(image.metadata, image.name),
    )
