"""Commands that add an empty mask of a target to a photograph, to be painted."""

import numpy as np
from napari.layers import Labels, Layer
from napari.viewer import Viewer

from napari_sam2lora._chosen import chosen_image, data_of
from napari_sam2lora._layers import mask_layer, noted, pixels_of
from napari_sam2lora._notices import errors_in_words
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
    with errors_in_words():
        target = get_target(name)
        image = data_of(chosen_image(viewer))
        empty = np.zeros(pixels_of(image).shape[:2], dtype=np.bool_)
        data, options, kind = mask_layer(target, empty, image)
        for layer in viewer.layers:
            if isinstance(layer, Labels) and _same(layer, options["metadata"]):
                raise TargetError(f"{layer.name} is there already: paint into it.")
        added = viewer.add_layer(Layer.create(data, options, kind))
        added.selected_label = target.label
        added.mode = "paint"


def _same(layer: Labels, metadata: dict) -> bool:
    there, new = noted(layer.metadata), noted(metadata)
    return all(there.get(part) == new[part] for part in ("target", "image"))
