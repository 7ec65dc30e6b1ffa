"""The photographs of a viewer as they are asked about."""

from collections.abc import Container
from dataclasses import replace

from napari.layers import Image
from napari.viewer import Viewer

from napari_sam2lora._chosen import data_of, photographs
from napari_sam2lora._layers import key_in, pixels_of, spacing_of
from napari_sam2lora._prompt_layers import keep_key
from napari_sam2lora._questions import Photo


class Photos:
    """Finds photographs by their keys, and keeps their pixels as long as the layers do.

    Parameters
    ----------
    viewer
        Where they are.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._kept: dict[str, Photo] = {}

    def keys(self) -> set[str]:
        """Give the keys of all photographs."""
        return {key_in(one.metadata, one.name) for one in photographs(self._viewer.layers)}

    def find(self, key: str) -> Image | None:
        """Give the layer of a photograph; None if it is not there any more."""
        images = photographs(self._viewer.layers)
        return next((one for one in images if key_in(one.metadata, one.name) == key), None)

    def of(self, image: Image) -> Photo:
        """Give what is asked about; the pixels are converted once for the same data.

        Raises
        ------
        ImageError
            If it is no single photograph.
        """
        key, layer = keep_key(image), data_of(image)
        kept = self._kept.get(key)
        if kept is None or kept.source is not image.data:
            kept = Photo(key, pixels_of(layer), image.data)
        self._kept[key] = replace(kept, spacing=spacing_of(layer))
        return self._kept[key]

    def forget_but(self, keys: Container[str]) -> None:
        """Let go of the pixels of others."""
        self._kept = {key: photo for key, photo in self._kept.items() if key in keys}
