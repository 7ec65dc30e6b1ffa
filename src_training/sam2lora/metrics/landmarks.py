"""Measures of the errors of points, and the length that they are compared with: the disc."""

import math

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.types import Mask, Place

_DISC_SHARE = 1 / 7  # of the field's diameter: a disc in a field of 45°


def closeness(found: Place, reference: Place, field: FieldOfView) -> float:
    """Return how close a point is to its reference: 1 at it, 0 from a seventh of the field on.

    A seventh of the diameter of a field of 45° is about the diameter of the optic disc.
    """
    return max(0.0, 1 - math.dist(found, reference) / (_DISC_SHARE * field.diameter))


def disc_diameter(disc: Mask) -> float | None:
    """Return the diameter of the circle that has the disc's area, in pixels; None without one."""
    area = np.count_nonzero(disc)
    return math.sqrt(4 * area / math.pi) if area else None
