"""The images of a viewer by id, and snapshots of them for the worker thread."""

from dataclasses import dataclass
from typing import Any

from napari.layers import Image
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, size_of
from napari_sam2lora.layers.insertion import set_visible
from napari_sam2lora.layers.lookup import fundus_images, layer_data, linked_layers
from napari_sam2lora.layers.metadata import ensure_image_id, image_id


@dataclass(frozen=True, eq=False)
class ImageSnapshot:
    """An image of the viewer as it was when a segmentation was requested.

    Attributes
    ----------
    key
        The image's id.
    layer
        Its layer as it was. The worker thread reads the pixels: converting large images is slow.
    """

    key: str
    layer: LayerData

    @property
    def source(self) -> Any:
        """The layer's data object; another one means that the image has changed."""
        return self.layer[0]


class ImageLayers:
    """Find the images of a viewer by their ids.

    Parameters
    ----------
    viewer
        The viewer that holds the images.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def ids(self) -> set[str]:
        """Return the ids of all images."""
        images = fundus_images(self._viewer.layers)
        return {image_id(image.metadata, image.name) for image in images}

    def find(self, key: str) -> Image | None:
        """Return the image layer with this id, or None if it was removed."""
        for image in fundus_images(self._viewer.layers):
            if image_id(image.metadata, image.name) == key:
                return image
        return None

    def bring_to_front(self, image: Image) -> None:
        """Show an image, and move it and the layers linked to it above all others, in order."""
        layers = list(self._viewer.layers)
        set_visible(image, True)
        above = layers[layers.index(image) + 1 :]
        if not any(other in above for other in fundus_images(layers)):
            return
        linked = linked_layers(layers, image_id(image.metadata, image.name))
        for layer in layers:
            if layer is image or layer in linked:
                self._viewer.layers.move(self._viewer.layers.index(layer), len(layers))

    def snapshot(self, image: Image) -> ImageSnapshot:
        """Return an image as it is now.

        Raises
        ------
        ImageError
            If the layer is not a single image.
        """
        layer = layer_data(image)
        size_of(layer)
        return ImageSnapshot(ensure_image_id(image), layer)
