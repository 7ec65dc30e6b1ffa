"""Which photograph a Labels layer is about, whoever made the layer."""

from collections.abc import Sequence

from napari.layers import Image, Labels, Layer

from napari_sam2lora._chosen import data_of
from napari_sam2lora._layers import key_of, noted

AREA = "annotated area"
"""The view of a layer that says which part of an image was annotated, and the end of its name."""


def image_of(labels: Labels, images: Sequence[Image]) -> Image | None:
    """Give the photograph a Labels layer is about; None if that is not known.

    What the plugin noted counts first, and alone. Else the layer is named after a photograph, as
    "eye1 disc" after "eye1"; else there is one photograph of its size, or one altogether.
    """
    about = noted(labels.metadata)
    if "image" in about:
        return next((one for one in images if key_of(data_of(one)) == about["image"]), None)
    named = [one for one in images if _is_named_after(labels.name, one.name)]
    if named:
        return max(named, key=lambda one: len(one.name))
    same_size = [one for one in images if size_of_layer(one) == size_of_layer(labels)]
    for found in (same_size, images):
        if len(found) == 1:
            return found[0]
    return None


def size_of_layer(layer: Layer) -> tuple[int, ...]:
    """Give the size `(H, W)` of what a layer shows."""
    data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
    rows_last = data.shape[:2] if getattr(layer, "rgb", False) else data.shape[-2:]
    return tuple(rows_last)


def _is_named_after(name: str, image: str) -> bool:
    """Tell whether a name begins with that of an image, as words do: "11" does not with "1"."""
    rest = name.removeprefix(image)
    return name.startswith(image) and not rest[:1].isalnum()
