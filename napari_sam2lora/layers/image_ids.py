"""Keep the ids of a viewer's images unique.

A copy of a layer has the original's metadata, and so its id; and an image without a file is
identified by its name, which a removed image may have had as well.
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
from napari_sam2lora.layers.points import is_point


class UniqueImageIds:
    """Assign a new id to each image added to a viewer whose id is taken.

    Parameters
    ----------
    viewer
        The viewer that holds the images.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._registered: WeakSet[Layer] = WeakSet()
        self._removed_ids: set[str] = set()
        self._new_ids: dict[str, str] = {}  # by the id an image came with
        for image in fundus_images(viewer.layers):
            self._register(image)
        self.forget_changes()
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)

    def forget_changes(self) -> None:
        """Stop relinking layers to images whose id was changed.

        Until then, layers that name the old id are taken to be added together with that image.
        """
        self._new_ids.clear()

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._viewer.layers.events.removed.disconnect(self._on_removed)

    def _on_inserted(self, event: Event) -> None:
        layer = event.value
        metadata = plugin_metadata(layer.metadata)
        if metadata.get("image") in self._new_ids and self._added_with_image(layer):
            new_id = self._new_ids[metadata["image"]]
            layer.metadata = with_plugin_metadata(layer.metadata, image=new_id)
        elif layer in fundus_images(self._viewer.layers):
            self._register(layer)

    def _on_removed(self, event: Event) -> None:
        layer = event.value
        if layer in self._registered and not plugin_metadata(layer.metadata).get("path"):
            self._removed_ids.add(image_id(layer.metadata, layer.name))

    def _added_with_image(self, layer: Layer) -> bool:
        """Check whether a layer was copied or read together with its image.

        Prompts and previews that are not copies were made for the original image.
        """
        metadata = plugin_metadata(layer.metadata)
        others = [other for other in self._viewer.layers if other is not layer]
        return (
            isinstance(layer, Labels)
            or is_point(layer)
            or any(plugin_metadata(other.metadata) == metadata for other in others)
        )

    def _register(self, image: Image) -> None:
        key = image_id(image.metadata, image.name)
        has_file = bool(plugin_metadata(image.metadata).get("path"))
        reused = key in self._removed_ids and not has_file and image not in self._registered
        if reused or key in self._other_ids(image):
            self._new_ids[key] = f"{image.name} {uuid4().hex}"
            image.metadata = with_plugin_metadata(image.metadata, key=self._new_ids[key])
        ensure_image_id(image)
        self._registered.add(image)

    def _other_ids(self, image: Image) -> set[str]:
        """Return the ids of the images that were added before."""
        return {
            image_id(other.metadata, other.name)
            for other in fundus_images(self._viewer.layers)
            if other is not image and other in self._registered
        }
