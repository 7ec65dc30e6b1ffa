"""Find the full scale of pixel values, and reduce them to 8 bits by it.

What overshoots a scale is judged by its number and by its amount: single stray values, a caption
that was burnt in at the highest value, and the ringing of interpolation do not change the scale.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import ImageError
from sam2lora.images.decoded_image import Array

_FULL_SCALES = (255, 1023, 4095, 16383, 65535)
_STRAY_SHARE = 10_000  # one in so many values may be outside the scale
_OVERSHOOT = 1.25  # of the scale: interpolation in floating point goes no further beyond it
_OVERSHOOTING = 0.01  # of the values may be as far beyond it
_LITTLE = 1.01  # of the scale: any number of floating-point values may be as little beyond it
_UNDERSHOOT = 0.25  # of the scale below 0, likewise
_LARGEST_FRACTION = 2.0  # floating point below it is a fraction of 1, however bright
_USED = 0.25  # of a scale that its values reach, if what is beyond it is a caption
_BLOCK = 1 << 22  # values that are scaled at once, to keep memory low


def to_uint8(fraction: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Scale values of 0…1 to 0…255, rounded and clipped."""
    clipped: NDArray[np.floating] = np.clip(np.rint(fraction * 255), 0, 255)
    return clipped.astype(np.uint8)


def to_8_bit(values: Array, source: Path | str) -> tuple[NDArray[np.uint8], str]:
    """Scale values so that their full scale becomes 255; return a text that describes it.

    Raises
    ------
    ImageError
        As for `check_values`.
    """
    if values.dtype == np.uint8:
        return values.view(np.uint8), ""
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255), "one bit scaled to 0 and 255"
    check_values(values, source)
    full_scale = find_full_scale(values)
    clipped = int(np.count_nonzero(values > full_scale) + np.count_nonzero(values < 0))
    pixels = np.empty(values.shape, np.uint8)
    for rows in _blocks(values):
        pixels[rows] = to_uint8(values[rows].astype(np.float32) / full_scale)
    if full_scale == 1:
        note = "floating point 0…1 scaled to 0…255"
    else:
        note = f"{values.dtype}, full scale {full_scale} scaled to 255"
    return pixels, note + (f", {clipped} stray value(s) clipped" if clipped else "")


def check_values(values: Array, source: Path | str) -> None:
    """Check that values are finite numbers inside the range of 16 bits, but for stray values.

    Raises
    ------
    ImageError
        If they are not.
    """
    if values.dtype.kind not in "buif":
        raise ImageError(f"{source}: pixels of type {values.dtype} are not an image.")
    if values.dtype.kind == "f" and not all(np.isfinite(values[r]).all() for r in _blocks(values)):
        raise ImageError(f"{source}: holds NaN or infinite pixels. Replace them first.")
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= _FULL_SCALES[-1]:
        return
    if values.dtype.kind == "f":
        scale = find_full_scale(values)
        if (low >= -_UNDERSHOOT * scale or _are_stray(values, values < 0)) and (
            high <= _FULL_SCALES[-1] or _holds(values, scale, high)
        ):
            return
    raise ImageError(
        f"{source}: holds pixel values from {low:g} to {high:g}; the supported range is "
        "0 to 65535. Scale them first."
    )


def find_full_scale(values: Array) -> int:
    """Return the smallest full scale that holds all values but those that overshoot it.

    That of integers is of 8, 10, 12, 14 or 16 bits; that of floating point may be 1, and is if no
    value reaches 2.
    """
    high = float(values.max())
    scales: tuple[int, ...] = _FULL_SCALES
    if values.dtype.kind == "f":
        if high < _LARGEST_FRACTION:
            return 1
        scales = (1, *_FULL_SCALES)
    return next((scale for scale in scales if _holds(values, scale, high)), scales[-1])


def _holds(values: Array, scale: int, high: float) -> bool:
    """Check whether a scale holds values up to `high`, but for those that overshoot it."""
    if high <= scale:
        return True
    outside = values > scale
    if _are_stray(values, outside) or _is_caption(values, outside, scale, high):
        return True
    if values.dtype.kind != "f":
        return False
    few = np.count_nonzero(outside) <= _OVERSHOOTING * values.size
    return high <= _LITTLE * scale or bool(few and high <= _OVERSHOOT * scale)


def _are_stray(values: Array, outside: NDArray[np.bool_]) -> bool:
    """Check whether few values are `outside`: 1 in 10 000 of those not 0, or a single pixel."""
    total = int(np.count_nonzero(values))
    return int(np.count_nonzero(outside)) <= max(total // _STRAY_SHARE, min(3, total // 100))


def _is_caption(values: Array, outside: NDArray[np.bool_], scale: int, high: float) -> bool:
    """Check whether all that is outside a scale is one highest value, far beyond the others."""
    if high not in (255, 65535) or high < 4 * scale or values[outside].min() < high:
        return False
    inside = values.max(where=~outside, initial=0)
    return bool(inside > _USED * scale)


def _blocks(values: Array) -> Iterator[slice]:
    """Yield slices of rows with a limited number of values."""
    rows = max(1, _BLOCK // max(1, values[0].size))
    for start in range(0, len(values), rows):
        yield slice(start, start + rows)
