"""An ellipse that fits a mask: where the outline of a disc or cup starts before it is dragged."""

import math

import numpy as np
from scipy import ndimage
from skimage import measure

from sam2lora.datasets.ellipses import Ellipse
from sam2lora.types import Mask

_LEAST = 16  # pixels: fewer have no shape
_DIGITS = 3  # after the point, in pixels and degrees


def fit_ellipse(mask: Mask) -> Ellipse | None:
    """Return the ellipse with the moments of the largest part of a mask.

    Parameters
    ----------
    mask
        `(H, W)` bool.

    Returns
    -------
    The ellipse; None if the mask has no part of at least 16 pixels, or that is a line.
    """
    labels, _ = ndimage.label(mask)
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    if areas.max() < _LEAST:
        return None
    (region,) = measure.regionprops((labels == areas.argmax()).astype(np.uint8))
    row, column = region.centroid
    longer, shorter = region.axis_major_length / 2, region.axis_minor_length / 2
    if shorter < 1:
        return None
    angle = math.degrees(math.atan2(math.cos(region.orientation), math.sin(region.orientation)))
    return rounded(Ellipse(float(column), float(row), longer, shorter, angle))


def rounded(ellipse: Ellipse) -> Ellipse:
    """Return an ellipse with few digits, so that it stays equal when it is drawn and read back."""
    x, y, rx, ry, angle = (
        round(float(value), _DIGITS)
        for value in (ellipse.x, ellipse.y, ellipse.rx, ellipse.ry, ellipse.angle)
    )
    return Ellipse(x, y, rx, ry, angle)
