"""Keeps the photographs of a viewer apart: no two in it have the same key.

A copy of a layer has the original's metadata, and with them its key; and an image without a file is
known by its name, which another one may have had before.
"""

from uuid import uuid4
from weakref import WeakSet

from napari.layers import Image, Labels, Layer
from napari.utils.events import Event
from napari.viewer import Viewer

from napari_sam2lora.layers.lookup import fundus_images
from napari_sam2lora.layers.metadata import (
    ensure_image_id,
    image_id,
    plugin_metadata,
    with_plugin_metadata,
)


class UniqueImageIds:
    """Gives a photograph that comes into a viewer a key of its own where its key is taken.

    Parameters
    ----------
    viewer
        Where they are.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._known: WeakSet[Layer] = WeakSet()
        self._left: set[str] = set()
        self._changed: dict[str, str] = {}
        for image in fundus_images(viewer.layers):
            self._know(image)
        self.forget_changes()
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)

    def forget_changes(self) -> None:
        """Take layers that come from now on for what they say they are.

        Until then they are taken to come along with the image whose key was changed.
        """
        self._changed.clear()

    def close(self) -> None:
        """Let go of the viewer."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _on_inserted(self, event: Event) -> None:
        layer = event.value
        known = plugin_metadata(layer.metadata)
        if known.get("image") in self._changed and self._comes_along(layer):
            layer.metadata = with_plugin_metadata(
                layer.metadata, image=self._changed[known["image"]]
            )
        elif layer in fundus_images(self._viewer.layers):
            self._know(layer)

    def _on_removed(self, event: Event) -> None:
        layer = event.value
        if layer in self._known and not plugin_metadata(layer.metadata).get("path"):
            self._left.add(image_id(layer.metadata, layer.name))

    def _comes_along(self, layer: Layer) -> bool:
        """Tell whether a layer was copied together with its image, or read with it.

        Prompts and previews that are no copies may have been made for the image that was there.
        """
        about = plugin_metadata(layer.metadata)
        others = [plugin_metadata(one.metadata) for one in self._viewer.layers if one is not layer]
        return isinstance(layer, Labels) or about in others

    def _know(self, image: Image) -> None:
        key = image_id(image.metadata, image.name)
        has_file = bool(plugin_metadata(image.metadata).get("path"))
        gone = key in self._left and not has_file and image not in self._known
        if gone or key in self._others(image):
            self._changed[key] = f"{image.name} {uuid4().hex}"
            image.metadata = with_plugin_metadata(image.metadata, key=self._changed[key])
        ensure_image_id(image)
        self._known.add(image)

    def _others(self, image: Image) -> set[str]:
        """Give the keys of the photographs that were there before."""
        return {
            image_id(one.metadata, one.name)
            for one in fundus_images(self._viewer.layers)
            if one is not image and one in self._known
        }
