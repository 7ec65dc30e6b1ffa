"""Narrower fields of view, cut from the image of a wide one.

The same disc is a seventh of a field of 50° and a third of one of 20°, in its middle or at its
edge, and few public datasets have other fields than those of 45° to 60° around the macula or disc.
"""

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.transforms.zoom import BoundingBox

_SHARES = (0.13, 0.4)  # of the target's extent in the diameter of the narrower field
_WIDEST = 0.9  # of the field's diameter: a wider one is hardly another one
_CUT_OFF = 0.25  # of the target's extent that its center is from the edge, at least
_TRIES = 10

_Type = TypeVar("_Type", bound=np.generic)


@dataclass(frozen=True)
class NarrowField:
    """A circle in an image, all beyond which is to be black.

    Attributes
    ----------
    center, diameter
        Center (x, y) and diameter in native pixels.
    rows, columns
        The part of the image that it lies in.
    """

    center: tuple[float, float]
    diameter: float
    rows: slice
    columns: slice

    def cut(self, array: NDArray[_Type]) -> NDArray[_Type]:
        """Return its part of an image or a mask, `(h, w, …)`, with 0 beyond the circle."""
        part = array[self.rows, self.columns].copy()
        part[~self.circle()] = 0
        return part

    def circle(self) -> NDArray[np.bool_]:
        """Return `(h, w)` bool: the pixels within the circle."""
        y, x = np.ogrid[self.rows, self.columns]
        inside: NDArray[np.bool_] = (x - self.center[0]) ** 2 + (y - self.center[1]) ** 2 <= (
            self.diameter / 2
        ) ** 2
        return inside

    def field(self, field: FieldOfView) -> FieldOfView:
        """Return the field of view of its part of an image, whose field of view is `field`."""
        x, y = self.center
        return FieldOfView(
            field.mask[self.rows, self.columns] & self.circle(),
            (x - self.columns.start, y - self.rows.start),
            self.diameter,
        )


def sample_narrow_field(
    field: FieldOfView, extent: BoundingBox, rng: np.random.Generator
) -> NarrowField | None:
    """Sample a circle inside a field of view that shows a target anywhere, up to its edge.

    Parameters
    ----------
    field
        Field of view of the image.
    extent
        Box around the target.
    rng
        Random generator; as many numbers are drawn whatever comes of them.

    Returns
    -------
    The circle; None if there is none with the sampled diameter.
    """
    share = math.exp(rng.uniform(*np.log(_SHARES)))
    draws = rng.random((_TRIES, 2))
    side = max(extent.side, 1.0)
    diameter = side / share
    if diameter > _WIDEST * field.diameter:
        return None
    (x, y), reach = extent.center, diameter / 2 - _CUT_OFF * side
    for distance, turn in draws:
        radius, angle = reach * math.sqrt(distance), 2 * math.pi * turn
        center = (x + radius * math.cos(angle), y + radius * math.sin(angle))
        if math.dist(center, field.center) <= (field.diameter - diameter) / 2:
            return circle_around(center, diameter, field.mask.shape)
    return None


def circle_around(
    center: tuple[float, float], diameter: float, shape: tuple[int, ...]
) -> NarrowField | None:
    """Return a circle, or None if less than half of the square around it is in the image.

    Parameters
    ----------
    center, diameter
        Center (x, y) and diameter in native pixels.
    shape
        `(H, W)` of the image.
    """
    radius = diameter / 2
    ends = [
        (max(0, math.floor(middle - radius)), min(limit, math.ceil(middle + radius) + 1))
        for middle, limit in zip(center[::-1], shape, strict=True)
    ]
    if any(last - first < radius for first, last in ends):
        return None
    rows, columns = (slice(*end) for end in ends)
    return NarrowField(center, diameter, rows, columns)
