"""The photographs of a viewer as they are asked about."""

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
    """An image of the viewer as it was when something was asked about it.

    Attributes
    ----------
    key
        What its layers name it by.
    layer
        Its layer as it was. The pixels are read by the worker: converting large images takes long.
    """

    key: str
    layer: LayerData

    @property
    def source(self) -> Any:
        """The layer's own data, which tell whether it has changed since."""
        return self.layer[0]


class ImageLayers:
    """Finds photographs by their keys, and says what is asked about them.

    Parameters
    ----------
    viewer
        Where they are.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def ids(self) -> set[str]:
        """Give the keys of all photographs."""
        return {image_id(one.metadata, one.name) for one in fundus_images(self._viewer.layers)}

    def find(self, key: str) -> Image | None:
        """Give the layer of a photograph; None if it is not there any more."""
        images = fundus_images(self._viewer.layers)
        return next((one for one in images if image_id(one.metadata, one.name) == key), None)

    def bring_to_front(self, image: Image) -> None:
        """Show a photograph and what belongs to it, above all others; they stay in their order."""
        layers = list(self._viewer.layers)
        set_visible(image, True)
        above = layers[layers.index(image) + 1 :]
        if not any(one in above for one in fundus_images(layers)):
            return
        linked = linked_layers(layers, image_id(image.metadata, image.name))
        for layer in layers:
            if layer is image or layer in linked:
                self._viewer.layers.move(self._viewer.layers.index(layer), len(layers))

    def snapshot(self, image: Image) -> ImageSnapshot:
        """Give what is asked about.

        Raises
        ------
        ImageError
            If it is no single photograph.
        """
        layer = layer_data(image)
        size_of(layer)
        return ImageSnapshot(ensure_image_id(image), layer)
