"""The pixels that a window of an image is resampled from: black beyond the image, never huge."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2lora.images.decoded_image import MAX_PIXELS


@dataclass(frozen=True)
class Span:
    """What is resampled along one axis of a window.

    Attributes
    ----------
    network
        Network pixels; the others are black.
    native
        The native pixels that they are resampled from; can extend beyond the image.
    start, end
        Edges of the network pixels, in native pixels from the start of `native`.
    """

    network: slice
    native: slice
    start: float
    end: float

    @property
    def count(self) -> int:
        """Number of network pixels."""
        return int(self.network.stop - self.network.start)


def spans_of_window(
    starts: tuple[float, float],
    lengths: tuple[float, float],
    size: int,
    shape: tuple[int, ...],
) -> tuple[Span, Span]:
    """Return what is resampled along the rows and the columns of a window.

    It is the whole window, or, if that has more than `MAX_PIXELS`, the part that the image has an
    influence on: the square around an image that is long and narrow would fill the memory.

    Parameters
    ----------
    starts, lengths
        Window's edges at the top and left, and its height and width, in native pixels.
    size
        Side of the network's input in pixels.
    shape
        `(H, W)` of the image.
    """
    along = _whole if lengths[0] * lengths[1] <= MAX_PIXELS else _influenced
    down, across = (
        along(start, length, size, limit)
        for start, length, limit in zip(starts, lengths, shape, strict=True)
    )
    return down, across


def padded(image: NDArray[np.uint8], rows: slice, columns: slice) -> NDArray[np.uint8]:
    """Return rows and columns of an image that can be beyond it, where they are black."""
    (first, last), (left, right) = (
        (min(max(part.start, 0), limit), max(min(part.stop, limit), 0))
        for part, limit in zip((rows, columns), image.shape, strict=False)
    )
    canvas = np.zeros((_length(rows), _length(columns), *image.shape[2:]), dtype=np.uint8)
    if first < last and left < right:
        down, across = first - rows.start, left - columns.start
        canvas[down : down + last - first, across : across + right - left] = image[
            first:last, left:right
        ]
    return canvas


def _whole(start: float, length: float, size: int, limit: int) -> Span:
    low, high = math.floor(start), math.ceil(start + length)
    offset = start - low
    return Span(slice(0, size), slice(low, high), offset, offset + length)


def _influenced(start: float, length: float, size: int, limit: int) -> Span:
    scale = length / size
    reach = max(scale, 1.0)  # of bilinear resampling, in native pixels
    centers = start + (np.arange(size) + 0.5) * scale
    touched = np.flatnonzero((centers + reach > 0) & (centers - reach < limit))
    if not len(touched):
        return Span(slice(0, 0), slice(0, 0), 0.0, 0.0)
    first, last = int(touched[0]), int(touched[-1])
    # Resampling reads the same pixels as in the whole window, whose own edges are its limits.
    low = math.floor(max(start, centers[first] - reach - 1))
    high = math.ceil(min(start + length, centers[last] + reach + 1))
    edge = start + first * scale - low
    end = min(edge + (last + 1 - first) * scale, float(high - low))
    return Span(slice(first, last + 1), slice(low, high), edge, end)


def _length(pixels: slice) -> int:
    return int(pixels.stop - pixels.start)
