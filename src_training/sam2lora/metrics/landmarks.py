"""Measures of the fovea and other points: errors, and what follows from disc and fovea."""

import math

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.types import Eye, Mask, Place

_DISC_SHARE = 1 / 7  # of the field's diameter: a disc in a field of 45°
_LEVEL = 0.5  # steepest slope, down over across, at which left and right of an image are known


def closeness(found: Place, reference: Place, field: FieldOfView) -> float:
    """Return how close a point is to its reference: 1 at it, 0 from a seventh of the field on.

    A seventh of the diameter of a field of 45° is about the diameter of the optic disc.
    """
    return max(0.0, 1 - math.dist(found, reference) / (_DISC_SHARE * field.diameter))


def disc_diameter(disc: Mask) -> float | None:
    """Return the diameter of the circle that has the disc's area, in pixels; None without one."""
    area = np.count_nonzero(disc)
    return math.sqrt(4 * area / math.pi) if area else None


def disc_center(disc: Mask) -> Place | None:
    """Return the center of the disc's area, None without one."""
    rows, columns = np.nonzero(disc)
    return (float(columns.mean()), float(rows.mean())) if len(rows) else None


def eye_side(disc: Place, fovea: Place) -> Eye | None:
    """Return which eye an upright image shows: the fovea lies on the side of the temple.

    Parameters
    ----------
    disc, fovea
        Center of the optic disc, and the fovea.

    Returns
    -------
    "right" if the fovea is to the left of the disc, as one sees it, "left" if it is to the right;
    None if it is rather above or below, as in an image that is turned.
    """
    across, down = fovea[0] - disc[0], fovea[1] - disc[1]
    if abs(down) >= _LEVEL * abs(across):
        return None
    return "left" if across > 0 else "right"
