"""Commands that add an empty mask of a target to a photograph, to be painted."""

import numpy as np
from napari.layers import Image, Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora._chosen import chosen_image, data_of
from napari_sam2lora._layers import mask_layer, size_of
from napari_sam2lora._metadata import key_in, noted
from napari_sam2lora._notices import errors_in_words
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


def add_mask(viewer: Viewer, image: Image, target: Target) -> Labels:
    """Add an empty mask of a target to a photograph, above everything else."""
    layer = data_of(image)
    empty = np.zeros(size_of(layer), dtype=np.bool_)
    added = viewer.add_layer(Layer.create(*mask_layer(target, empty, layer)))
    added.selected_label = target.label
    return added


def _add(viewer: Viewer, name: str) -> None:
    with errors_in_words():
        target, image = get_target(name), chosen_image(viewer)
        for layer in viewer.layers:
            if isinstance(layer, Labels) and _is_of(layer, image, target):
                raise TargetError(f"{layer.name} is there already: paint into it.")
        add_mask(viewer, image, target).mode = "paint"


def _is_of(layer: Labels, image: Image, target: Target) -> bool:
    known = noted(layer.metadata)
    return (known.get("target"), known.get("image")) == (
        target.name,
        key_in(image.metadata, image.name),
    )
