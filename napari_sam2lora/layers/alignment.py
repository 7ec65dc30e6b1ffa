"""Keep prompts, previews and drawings aligned with their image when its transform changes."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, get_args

import numpy as np
from napari.layers import Image, Layer
from napari.utils.events import Event
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import transform_of
from napari_sam2lora.layers.lookup import fundus_images, layer_data, linked_layers
from napari_sam2lora.layers.metadata import image_id, plugin_metadata
from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.measurements.drawing import Drawing

_PARTS = ("scale", "translate", "rotate", "shear", "affine", "units")


class TransformSync:
    """Apply an image's scale, translation, rotation and shear to its prompts, previews, drawings.

    Masks belong to the user and are not moved.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._watched: dict[Layer, partial[None]] = {}

    def refresh(self) -> None:
        """Follow the images that are in the viewer now."""
        images = fundus_images(self._viewer.layers)
        self._disconnect(layer for layer in list(self._watched) if layer not in images)
        for image in images:
            if image not in self._watched:
                self._watched[image] = partial(self._follow, image)
                for part in _PARTS:
                    image.events[part].connect(self._watched[image])
                self._follow(image)

    def close(self) -> None:
        """Disconnect from all images."""
        self._disconnect(list(self._watched))

    def _disconnect(self, images: Iterable[Layer]) -> None:
        for image in images:
            follow = self._watched.pop(image)
            for part in _PARTS:
                image.events[part].disconnect(follow)

    def _follow(self, image: Image, event: Event | None = None) -> None:
        layers = self._aligned_layers(image)
        if not layers:
            return
        with show_user_errors():
            wanted = transform_of(layer_data(image))
            for layer in layers:
                current = transform_of(layer_data(layer))
                for part, value in wanted.items():
                    if not _same(part, current[part], value):
                        setattr(layer, part, value)

    def _aligned_layers(self, image: Image) -> list[Layer]:
        linked = linked_layers(self._viewer.layers, image_id(image.metadata, image.name))
        return [layer for layer in linked if _is_aligned(plugin_metadata(layer.metadata))]


def _is_aligned(metadata: Mapping[str, Any]) -> bool:
    return "prompts" in metadata or metadata.get("view") in ("preview", *get_args(Drawing))


def _same(part: str, first: Any, second: Any) -> bool:
    if part == "units":
        return tuple(first) == tuple(second)
    return np.array_equal(first, second)
