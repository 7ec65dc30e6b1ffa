"""The crop in which a compact target is looked at again, and whether it was the right one."""

from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.windows import Window, zoom_window
from sam2lora.types import Mask

_ROOM = 1.5  # a crop's side is at least this many times the extent of the target
_STEPS = 16  # in a crop's side: its center is rounded to one
_EDGE = 0.02  # of a crop's side: what comes as near to its edge is cut off
_MOVED = 0.12  # of a crop's side that the center may be off
_RESIZED = 1.4  # factor by which the extent may be wrong


class BoundingBox(NamedTuple):
    """The box around a target, in native pixels: (x0, y0) to (x1, y1)."""

    x0: float
    y0: float
    x1: float
    y1: float

    @classmethod
    def of(cls, mask: Mask) -> Self | None:
        """Return the extent of a mask `(H, W)`, or None if it is empty."""
        rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return None
        return cls(*map(float, (columns[0], rows[0], columns[-1], rows[-1])))

    @property
    def center(self) -> tuple[float, float]:
        """Center (x, y)."""
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    @property
    def side(self) -> float:
        """The longer side."""
        return max(self.x1 - self.x0, self.y1 - self.y0)

    def moved(self, right: float, down: float) -> "BoundingBox":
        """Return it elsewhere, by so many pixels."""
        return BoundingBox(self.x0 + right, self.y0 + down, self.x1 + right, self.y1 + down)

    def scaled(self, factor: float) -> "BoundingBox":
        """Return it larger or smaller, around the same center."""
        (x, y), reach = self.center, (self.x1 - self.x0, self.y1 - self.y0)
        right, down = (factor / 2 * side for side in reach)
        return BoundingBox(x - right, y - down, x + right, y + down)

    def including(self, points: Iterable[tuple[float, float]]) -> "BoundingBox":
        """Return the extent of it and of points (x, y)."""
        columns, rows = zip((self.x0, self.y0), (self.x1, self.y1), *points, strict=True)
        return BoundingBox(min(columns), min(rows), max(columns), max(rows))

    def mirrored(
        self, shape: tuple[int, int], *, sideways: bool, upside_down: bool
    ) -> "BoundingBox":
        """Return it in the mirror image of an image of `shape` (H, W)."""
        x0, y0, x1, y1 = self
        last_row, last_column = shape[0] - 1, shape[1] - 1
        if sideways:
            x0, x1 = last_column - x1, last_column - x0
        if upside_down:
            y0, y1 = last_row - y1, last_row - y0
        return BoundingBox(x0, y0, x1, y1)


def crop_side(geometry: GeometrySettings, field: FieldOfView, extent: float) -> float:
    """Return the side of the crop for a target of `extent` native pixels, in native pixels.

    An extent of 0 is that of a single pixel, the likeliest one where nothing was found; it says
    nothing about the size.
    """
    if geometry.zoom_extent is None or extent == 0:
        side = geometry.zoom_share * field.diameter
    else:
        smallest, largest = (share * field.diameter for share in geometry.zoom_range)
        side = min(max(geometry.zoom_extent * extent, smallest), largest)
    return min(max(side, _ROOM * extent), field.diameter)


def crop_around(
    geometry: GeometrySettings, field: FieldOfView, extent: BoundingBox, size: int
) -> Window:
    """Return the crop around a target.

    Its center is rounded to a sixteenth of its side, so that a point that hardly changes the first
    prediction finds the crop's embedding in the cache.
    """
    side = crop_side(geometry, field, extent.side)
    step = max(side, _ROOM * extent.side) / _STEPS
    x, y = (round(value / step) * step for value in extent.center)
    return zoom_window((x, y), field, size, share=side / field.diameter)


def needs_another_look(crop: Window, expected: BoundingBox, found: BoundingBox) -> bool:
    """Check whether the crop was the wrong one for what was found in it.

    Parameters
    ----------
    crop
        The crop, around what was `expected`.
    expected, found
        Boxes by the look that led to the crop, and by the look at the crop.
    """
    room = _EDGE * crop.width
    edges = (
        found.x0 - crop.left,
        found.y0 - crop.top,
        crop.left + crop.width - 1 - found.x1,
        crop.top + crop.height - 1 - found.y1,
    )
    if min(edges) < room:
        return True
    offset = np.subtract(found.center, (crop.left + crop.width / 2, crop.top + crop.height / 2))
    ratio = max(found.side, 1.0) / max(expected.side, 1.0)
    return bool(np.hypot(*offset) > _MOVED * crop.width or not 1 / _RESIZED < ratio < _RESIZED)
