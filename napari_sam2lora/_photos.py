"""The photographs of a viewer as they are asked about."""

from napari.layers import Image
from napari.viewer import Viewer

from napari_sam2lora._adding import set_visible
from napari_sam2lora._chosen import data_of, photographs
from napari_sam2lora._layers import size_of
from napari_sam2lora._metadata import key_in, noted
from napari_sam2lora._prompt_layers import keep_key
from napari_sam2lora._questions import Photo


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
