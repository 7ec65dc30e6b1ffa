"""Decide by the values of a mask file whether it is a mask, perhaps a soft one, or a label map.

At a soft edge each value lies between its neighbors, or is that of a plateau in a slope. A label
is beside lower values alone, or fills an area of its own.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.images.reading import above_half
from sam2lora.types import Mask

_MOST_LABELS = 16  # more values are a mask with soft edges, or a map of many pieces
_NEAR_FULL = 4  # values a mask of 255 may hold beside it
_QUARTERS = frozenset({63, 64, 127, 128, 191, 192, 255})  # soft maps of four experts
_LEAST_PIXELS = 9  # of a label; fewer are the corner of an edge, or noise
_BETWEEN = 0.1  # of a value's neighbors that are lower, and that are higher, on a soft edge
_NEAR_RANK = 4.0  # mean number of values between a plateau of a soft mask and its neighbors
_ALIKE = 4  # values that an area varies by in a lossy format
_PEAK = 0.3  # of the even areas between black and white that are near one value, in a label map
_MOST_EDGE = 0.1  # of the values between black and white that may be even at soft edges


def levels_of(values: NDArray[Any]) -> list[float]:
    """Return the different values of a mask, sorted; a file of two values is a matter of speed."""
    low, high = values.min(), values.max()
    at_ends = int(np.count_nonzero(values == low)) + int(np.count_nonzero(values == high))
    if low == high or at_ends == values.size:
        return sorted({float(low), float(high)})
    if values.dtype in (np.uint8, np.uint16):
        return [float(level) for level in np.flatnonzero(np.bincount(values.ravel()))]
    return [float(level) for level in np.unique(values)]


def is_two_toned(values: NDArray[Any]) -> bool:
    """Check whether an image has as few values as a mask or label map, or nearly all at two ends.

    A grayscale fundus image has many values between; a mask saved as JPEG has few.
    """
    if len(levels_of(values)) <= 2 * _MOST_LABELS:
        return True
    low, high = float(values.min()), float(values.max())
    middle = (values > low + (high - low) / 8) & (values < high - (high - low) / 8)
    return bool(middle.mean() < 0.02)


def find_labels(values: NDArray[Any], levels: list[float], *, lossy: bool) -> list[float]:
    """Return the labels of a label map; an empty list for a mask.

    Parameters
    ----------
    values
        `(H, W)` values of the file.
    levels
        The different ones, from `levels_of`.
    lossy
        Whether the format adds values to those of a mask.
    """
    labels = [level for level in levels if level != 0]
    if levels[-1] <= 1:  # 0 and 1, or soft
        return []
    if not above_half(values).any():
        return labels
    if lossy:
        return labels if _has_third_peak(values) else []
    if len(levels) < 3 or (len(levels) <= _MOST_LABELS and _is_soft(labels)):
        return []
    inner = np.array(levels[1:-1]) < levels[-1] - _NEAR_FULL
    ranks = np.searchsorted(np.array(levels), values)
    areas, between, near = _describe_levels(ranks, len(levels))
    found = areas | ~between if len(levels) <= _MOST_LABELS else areas & ~between & ~near
    return labels if (found[1:-1] & inner).any() else []


def _describe_levels(ranks: NDArray[np.intp], count: int) -> tuple[Mask, Mask, Mask]:
    """Return for each of `count` values three facts, `(count,)` bool.

    Whether it fills a square of 3 × 3; whether it is between lower and higher neighbors, or too
    rare to tell; and whether the neighbors of such squares are near it in the order of values.
    """
    flat = ndimage.maximum_filter(ranks, 3) == ndimage.minimum_filter(ranks, 3)
    areas = np.bincount(ranks[1:-1, 1:-1][flat[1:-1, 1:-1]], minlength=count) > 0
    squares = ndimage.maximum_filter(flat, 3)
    lower, higher, around, steps = np.zeros((4, count))
    ahead, behind = slice(1, None), slice(None, -1)
    for axis in (0, 1):
        for one, other in ((ahead, behind), (behind, ahead)):
            at, beside = (one, other) if axis == 0 else ((slice(None), one), (slice(None), other))
            inside, step = ranks[at].ravel(), (ranks[beside] - ranks[at]).ravel()
            lower += np.bincount(inside, step < 0, count)
            higher += np.bincount(inside, step > 0, count)
            around += np.bincount(inside, (step != 0) & squares[at].ravel(), count)
            steps += np.bincount(inside, np.abs(step) * squares[at].ravel(), count)
    rare = np.bincount(ranks.ravel(), minlength=count) < _LEAST_PIXELS
    return (
        areas,
        rare | (np.minimum(lower, higher) >= _BETWEEN * (lower + higher)),
        steps <= _NEAR_RANK * around,
    )


def _is_soft(labels: list[float]) -> bool:
    """Check for the shares of four experts, or of the four pixels that were averaged.

    Two labels alone of which the higher is full, such as 63 and 255, can be those of a label map.
    """
    shares = _QUARTERS.issuperset(labels) and bool({63, 64, 191, 192} & set(labels))
    return shares and (len(labels) > 2 or labels[-1] < 255)


def _has_third_peak(values: NDArray[Any]) -> bool:
    """Check whether a value between black and white fills areas, by a histogram of even squares."""
    low, high = int(values.min()), int(values.max())
    margin = (high - low) / 8
    middle = (values > low + margin) & (values < high - margin)
    most, least = ndimage.maximum_filter(values, 3), ndimage.minimum_filter(values, 3)
    even = values[middle & (most <= least + np.asarray(_ALIKE, values.dtype))].astype(np.intp)
    if even.size < max(_LEAST_PIXELS, _MOST_EDGE * np.count_nonzero(middle)):
        return False
    near = np.convolve(np.bincount(even), np.ones(2 * _ALIKE + 1), mode="same")
    return bool(near.max() > _PEAK * even.size)
