"""Masks that were drawn on the pixels of an image before its EXIF orientation turned it upright.

Where the sizes do not tell, the image does: discs and cups are brighter than what is around them,
vessels darker.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage

from sam2lora.datasets.mask_encodings import Shape
from sam2lora.errors import ImageError
from sam2lora.images.decoded_image import turn_upright
from sam2lora.images.decoding import read_orientation
from sam2lora.images.reading import read_image
from sam2lora.types import Mask

Drawn = Literal["upright", "unturned", "unclear"]

_BRIGHTER = {"disc": 1, "cup": 1, "vessel": -1}
_SIDE = 512  # longer side, in pixels, at which mask and image are compared
_AROUND = 1 / 20  # of the longer side: what a structure is compared with
_LEAST = 3  # grey levels that a structure differs by
_CLEARLY = 2  # times that the one must differ more than the other


def turned_upright(mask: Mask, shape: Shape, image: Path, *, target: str) -> Mask:
    """Turn a mask that was drawn on the pixels of an image before they are turned upright.

    Any other mask is returned unchanged, also where it is unclear.

    Parameters
    ----------
    mask
        `(H, W)` bool.
    shape
        `(H, W)` of the upright image.
    image
        The image file, whose EXIF orientation says how it is turned.
    target
        Name of the target; empty for the field of view and ignored pixels.
    """
    if how_drawn(mask, shape, image, target=target) != "unturned":
        return mask
    return turn_upright(mask, read_orientation(image))


def is_drawn_unturned(mask_shape: Sequence[int], shape: Shape, image: Path) -> bool:
    """Check by its size whether a mask was drawn on an image before it is turned upright."""
    swapped = tuple(mask_shape) == shape[::-1] != shape
    return swapped and read_orientation(image) in (5, 6, 7, 8)


def how_drawn(mask: Mask, shape: Shape, image: Path, *, target: str) -> Drawn:
    """Decide by size and by content on which pixels a mask was drawn.

    Parameters
    ----------
    mask, shape, image, target
        As for `turned_upright`.

    Returns
    -------
    "upright" also for masks of another size.
    """
    if is_drawn_unturned(mask.shape, shape, image):
        return "unturned"
    orientation = read_orientation(image)
    if mask.shape != shape or orientation == 1:
        return "upright"
    turned = turn_upright(mask, orientation)
    if turned.shape != mask.shape or np.array_equal(turned, mask):
        return "upright"
    sign = _BRIGHTER.get(target)
    if sign is None:
        return "unclear" if target else "upright"  # fields of view are alike either way
    try:
        as_drawn, as_turned = _contrasts(image, mask, turned)
    except ImageError:  # whoever reads the image reports it
        return "unclear"
    if sign * as_drawn > max(_LEAST, _CLEARLY * sign * as_turned):
        return "upright"
    if sign * as_turned > max(_LEAST, _CLEARLY * sign * as_drawn):
        return "unturned"
    return "unclear"


def _contrasts(image: Path, *masks: Mask) -> list[float]:
    """Return by how many grey levels each mask differs from what is around it, in the green."""
    green = read_image(image).pixels[..., 1]
    step = max(1, max(green.shape) // _SIDE)
    small = green[::step, ::step].astype(np.float32)
    contrast = small - ndimage.gaussian_filter(small, _AROUND * max(small.shape))
    reduced = [mask[::step, ::step] for mask in masks]
    return [float(contrast[mask].mean()) if mask.any() else 0.0 for mask in reduced]
