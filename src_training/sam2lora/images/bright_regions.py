"""What is lit in a reduced fundus image, at several thresholds."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.images.aperture import Border, border_of
from sam2lora.types import Mask

_STEPS_ABOVE_BLACK = (6, 10, 16, 26, 40)  # grey levels at which the image is thresholded
_LEAST_AREA = 0.1  # of the image: a smaller bright region is not a field of view
_DARK_OUTSIDE = 0.5  # largest ratio of the median brightness outside to that inside
_LEAST_PART = 0.1  # of the largest bright part: a smaller one is a label
_RECTANGLE = 0.95  # of its bounding box: what fills more is a panel, or a picture without aperture
_STEP_SIDE = 9  # working pixels, square in which a border is compared with both of its sides
_SHARP = 0.6  # largest ratio of dark to bright across a field's border; shading is softer
_WEAKEST = 20  # percent of the border that may be softer
_CLOSING = 5  # working pixels: radius of the notches that are closed in a field without a circle


@dataclass(frozen=True, eq=False)
class BrightRegion:
    """What is lit at one threshold, in working pixels.

    Attributes
    ----------
    largest, whole
        `(h, w)` bool: the largest bright part, and all large ones.
    border
        `(N, 2)`: points (x, y) on the border of the largest.
    dark, bright
        `(N,)`: brightness on the two sides of the border.
    """

    largest: Mask
    whole: Mask
    border: Border
    dark: NDArray[np.int16]
    bright: NDArray[np.int16]

    def is_sharp(self, part: Mask | slice = slice(None)) -> bool:
        """Check whether most of the border, or of a part of it, `(N,)`, is a step, not shading."""
        dark, bright = self.dark[part], self.bright[part]
        return bool(len(dark) and np.median(dark) <= _SHARP * np.median(bright))

    @property
    def step(self) -> float:
        """Grey levels that the border rises by, all but its softest parts."""
        return float(np.percentile(self.bright - self.dark, _WEAKEST))


def bright_regions(light: NDArray[np.uint8]) -> Iterator[BrightRegion]:
    """Yield what is lit at each threshold, from the lowest threshold up."""
    black = np.percentile(light, 1)
    for level in _STEPS_ABOVE_BLACK:
        components, count = ndimage.label(light > black + level)
        if count == 0:
            break
        largest, whole, panels = _large_parts(components, light > black + _STEPS_ABOVE_BLACK[-1])
        if not _LEAST_AREA < largest.mean() < 0.995:
            continue
        if _median(light[~(whole | panels)]) >= _DARK_OUTSIDE * _median(light[whole]):
            continue
        border = border_of(largest)
        yield BrightRegion(largest, whole, border, *_sides(light, border))


def _large_parts(components: NDArray[np.int32], bright: Mask) -> tuple[Mask, Mask, Mask]:
    """Return the largest of labelled parts, all large ones, and panels; their holes filled.

    Beside a part of another shape, a rectangle is no field but a panel, unless what is `bright` in
    it has another shape too: a field whose black is lighter than the padding.
    """
    areas = np.bincount(components.ravel())
    areas[0] = 0
    numbers = np.flatnonzero(areas >= _LEAST_PART * areas.max())
    parts = [_without_holes(components == number) for number in numbers]
    none = np.zeros_like(parts[0])
    if len(parts) == 1:
        return parts[0], parts[0], none
    panels = [part for part in parts if is_rectangle(part) and _is_plain(part & bright)]
    if len(panels) == len(parts):
        panels = []
    fields = [part for part in parts if all(part is not panel for panel in panels)]
    largest = max(fields, key=np.count_nonzero)
    return largest, np.logical_or.reduce(fields), np.logical_or.reduce([none, *panels])


def _is_plain(bright: Mask) -> bool:
    return not bright.any() or is_rectangle(_without_holes(bright))


def is_rectangle(part: Mask) -> bool:
    """Check whether a mask fills its bounding box."""
    rows, columns = (np.flatnonzero(part.any(axis=axis)) for axis in (1, 0))
    box = part[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return bool(box.mean() > _RECTANGLE)


def _sides(light: NDArray[np.uint8], border: Border) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return the brightness on the dark and on the bright side of each border point, `(N,)`."""
    reach = _STEP_SIDE // 2
    columns, rows = np.rint(border).astype(np.intp).T
    squares = np.lib.stride_tricks.sliding_window_view(
        np.pad(light, reach, mode="edge"), (_STEP_SIDE, _STEP_SIDE)
    )[rows, columns].astype(np.int16)
    return squares.min(axis=(1, 2)), squares.max(axis=(1, 2))


def closed(region: Mask) -> Mask:
    """Close the notches of a region, and fill its holes."""
    outside = np.pad(~region, _CLOSING + 1, constant_values=True)
    grown = ndimage.distance_transform_edt(outside) <= _CLOSING
    eroded = ndimage.distance_transform_edt(grown) > _CLOSING
    inner = slice(_CLOSING + 1, -_CLOSING - 1)
    return _without_holes(eroded[inner, inner] | region)


def _without_holes(region: Mask) -> Mask:
    """Fill the holes of a region, faster than `binary_fill_holes`."""
    outside, _ = ndimage.label(np.pad(~region, 1, constant_values=True))
    filled: Mask = outside[1:-1, 1:-1] != outside[0, 0]
    return filled


def _median(levels: NDArray[np.uint8]) -> int:
    """Return the lower median of grey levels, from their histogram."""
    counts = np.bincount(levels, minlength=1).cumsum()
    return int(np.searchsorted(counts, (counts[-1] + 1) // 2))
