"""Which photograph a Labels layer is about, whoever made the layer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from napari.layers import Image, Labels

from napari_sam2lora._chosen import size_of_layer
from napari_sam2lora._metadata import key_in, noted
from sam2lora.targets import all_targets

AREA = "annotated area"
"""The view of a layer that says which part of an image was annotated, and the end of its name."""


@dataclass(frozen=True, eq=False)
class Owner:
    """The photograph a Labels layer is about, and how that is known.

    Attributes
    ----------
    image
        None if it is not open, or not known.
    sure
        The layer itself says which it is, by what was noted or by its name. Else nothing speaks for
        the image but its size.
    """

    image: Image | None
    sure: bool


def image_of(labels: Labels, images: Sequence[Image]) -> Owner:
    """Tell which photograph a Labels layer is about.

    What the plugin noted counts first, and alone. Else the layer is named after a photograph, as
    "eye1 disc" after "eye1"; else, if its name speaks of no photograph, as "disc" or "Labels",
    there is one of its size, or one altogether.
    """
    about = noted(labels.metadata)
    if "image" in about:
        own = (one for one in images if key_in(one.metadata, one.name) == about["image"])
        return Owner(next(own, None), sure=True)
    named = [one for one in images if _is_named_after(labels.name, one.name)]
    if named:
        return Owner(max(named, key=lambda one: len(one.name)), sure=True)
    same_size = [one for one in images if size_of_layer(one) == size_of_layer(labels)]
    for found in (same_size, images):
        if len(found) == 1 and not _may_name_an_image(labels.name):
            return Owner(found[0], sure=False)
    return Owner(None, sure=False)


def _is_named_after(name: str, image: str) -> bool:
    """Tell whether a name begins with that of an image, as words do: "11" does not with "1"."""
    rest = name.removeprefix(image)
    return name.startswith(image) and not rest[:1].isalnum()


def _may_name_an_image(name: str) -> bool:
    """Tell whether a name begins with other words than napari's own, or a target."""
    first = re.split(r"[\W_]", name.strip().lower(), maxsplit=1)[0]
    return first not in ("", "labels", *all_targets())
