"""The photographs of a viewer as they are asked about."""

from dataclasses import dataclass
from typing import Any

from napari.layers import Image
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, size_of
from napari_sam2lora.layers.insertion import set_visible
from napari_sam2lora.layers.lookup import data_of, photographs
from napari_sam2lora.layers.metadata import keep_key, key_in, noted


@dataclass(frozen=True, eq=False)
class Photo:
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


class Photos:
    """Finds photographs by their keys, and says what is asked about them.

    Parameters
    ----------
    viewer
        Where they are.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer

    def keys(self) -> set[str]:
        """Give the keys of all photographs."""
        return {key_in(one.metadata, one.name) for one in photographs(self._viewer.layers)}

    def find(self, key: str) -> Image | None:
        """Give the layer of a photograph; None if it is not there any more."""
        images = photographs(self._viewer.layers)
        return next((one for one in images if key_in(one.metadata, one.name) == key), None)

    def bring_to_front(self, image: Image) -> None:
        """Show a photograph and what belongs to it, above all others; they stay in their order."""
        layers = list(self._viewer.layers)
        set_visible(image, True)
        above = layers[layers.index(image) + 1 :]
        if not any(one in above for one in photographs(layers)):
            return
        key = key_in(image.metadata, image.name)
        for layer in layers:
            if layer is image or noted(layer.metadata).get("image") == key:
                self._viewer.layers.move(self._viewer.layers.index(layer), len(layers))

    def of(self, image: Image) -> Photo:
        """Give what is asked about.

        Raises
        ------
        ImageError
            If it is no single photograph.
        """
        layer = data_of(image)
        size_of(layer)
        return Photo(keep_key(image), layer)
