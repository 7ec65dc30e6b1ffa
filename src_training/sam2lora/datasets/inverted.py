"""The one rule by which a mask seems inverted: drawn around its target instead of on it."""

import numpy as np

from sam2lora.images.decoded_image import border_share
from sam2lora.types import Mask

IGNORED = "ignored pixels"
"""Stands for a target where the mask is that of the pixels to ignore."""

_LARGEST_SHARE = {"vessel": 0.35, "disc": 0.6, "cup": 0.5}
_LARGEST_SHARE_OF_OTHERS = 0.95  # user-defined targets: only nearly everything is suspicious
_BORDER = 0.9  # share of the outermost pixels; around a field of view they show nothing
_MOST = 0.5
_WORTH_A_LOOK = 0.2  # share of the image below which no inverted mask of a field can be


def looks_inverted(mask: Mask, target: str | None, *, field: Mask | None = None) -> bool:
    """Check whether a mask seems inverted.

    The mask of a target does if it covers more of the image, or of its field of view, than the
    target can, or most of the image with its border, where no target is. Ignored pixels may be at
    the border. That of a field of view does if the middle of
    the image is not in it.

    Parameters
    ----------
    mask
        `(H, W)` bool.
    target
        Name of the target, or `IGNORED`; None for the mask of a field of view.
    field
        `(H, W)` bool: field of view of the image, if it is known.
    """
    if target is None:
        height, width = mask.shape
        return not bool(mask[height // 2, width // 2])
    largest = _LARGEST_SHARE.get(target, _LARGEST_SHARE_OF_OTHERS)
    share = int(np.count_nonzero(mask)) / mask.size  # faster than the mean
    at_border = target != IGNORED and share > _MOST and border_share(mask) > _BORDER
    if share > largest or at_border:
        return True
    if field is None or not field.any():
        return False
    return int(np.count_nonzero(mask & field)) / int(np.count_nonzero(field)) > largest


def needs_field(mask: Mask) -> bool:
    """Check whether finding the field of view could tell more about a mask than its own pixels."""
    return int(np.count_nonzero(mask)) / mask.size > _WORTH_A_LOOK
