"""Read fundus images and masks in every format in which datasets are distributed.

TIFF (LZW, JPEG, 16-bit), PNG, JPEG, BMP, GIF, PPM/PGM (also gzipped), WebP, and DICOM with the
extra `dicom`. Every file becomes an upright `(H, W, 3)` uint8 RGB image, by documented rules.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import ImageError
from sam2lora.images.decoding import Array, decode
from sam2lora.types import Eye

_FULL_SCALES = (255, 1023, 4095, 16383, 65535)


@dataclass(frozen=True, eq=False)
class FundusImage:
    """A fundus image as read from a file.

    Attributes
    ----------
    pixels
        `(H, W, 3)` uint8 RGB, upright.
    path
        The file it was read from.
    spacing
        Millimetres per pixel (row, column), if the file gives it.
    eye
        "left" or "right", from DICOM laterality or else the file's name.
    note
        Text that describes the conversions on reading; empty if there were none.
    """

    pixels: NDArray[np.uint8]
    path: Path | None = None
    spacing: tuple[float, float] | None = None
    eye: Eye | None = None
    note: str = ""


def read_image(path: str | Path) -> FundusImage:
    """Read a fundus image.

    Grey becomes RGB, alpha is dropped, the EXIF orientation is applied. Integers of more than
    8 bits are scaled so that the smallest full scale of 8, 10, 12, 14 or 16 bits that holds the
    image's maximum becomes 255; floating point up to 1 is scaled by 255, above that like integers.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, not an image, a stack of several images, larger
        than `MAX_PIXELS`, or holds NaN, infinite or negative pixels.
    """
    path = Path(path)
    decoded = decode(path)
    pixels, note = to_rgb(decoded.values, path)
    return FundusImage(
        pixels,
        path=path,
        spacing=decoded.spacing,
        eye=decoded.eye or eye_from_name(path.stem),
        note=note,
    )


def read_values(path: str | Path) -> Array:
    """Read a one-channel image, such as a mask or a label image, without scaling its values.

    A colour file whose channels are equal gives one of them; a colour palette gives its indices.

    Returns
    -------
    `(H, W)` in the file's data type; bool for one-bit files.

    Raises
    ------
    ImageError
        As for `read_image`, and if the channels of the file differ.
    """
    path = Path(path)
    values = decode(path, palette_indices=True).values
    _check_values(values, path)
    if values.ndim == 2:
        return values
    colors = values[..., : 3 if values.shape[-1] > 2 else 1]
    if not (colors == colors[..., :1]).all():
        raise ImageError(f"{path}: expected a mask, but the file holds a colour image.")
    return colors[..., 0]


def read_mask(
    path: str | Path, *, threshold: float | None = None, shape: tuple[int, int] | None = None
) -> NDArray[np.bool_]:
    """Read a mask: True where the structure is.

    Parameters
    ----------
    path
        Image file with one channel.
    threshold
        Values above it are True. By default half of the full scale by the rule of `read_image`
        (127.5 for 8 bits, 0.5 for floating point); where integers are 0 and 1 only, non-zero.
    shape
        `(H, W)` of the image it belongs to; checked if given.

    Raises
    ------
    ImageError
        As for `read_values`, and if the size is not `shape`.
    """
    values = read_values(path)
    if shape is not None and values.shape != shape:
        raise ImageError(
            f"{path}: the mask is {_size(values.shape)}, but its image is {_size(shape)} "
            "(width × height). Use the mask of this image."
        )
    return above_half(values) if threshold is None else np.asarray(values > threshold)


def above_half(values: Array) -> NDArray[np.bool_]:
    """Return which values of a mask are above half of their full scale, as for `read_mask`."""
    highest = float(values.max())
    return np.asarray(values > (0.5 if highest <= 1 else _full_scale(highest) / 2))


def eye_from_name(stem: str) -> Eye | None:
    """Read the eye from a file name such as `01L`, `RET002OD`, `12_left` or `OS-3`, or return None.

    A single L or R counts only after a number (as in CHASE_DB1) or as a separate word.
    """
    found: set[Eye] = set()
    for word in re.split(r"[^A-Za-z0-9]+", stem):
        if re.fullmatch(r"(?i:left)\d*|(?i:os)\d*|\d*L|[A-Z]*\d+OS", word):
            found.add("left")
        if re.fullmatch(r"(?i:right)\d*|(?i:od)\d*|\d*R|[A-Z]*\d+OD", word):
            found.add("right")
    return found.pop() if len(found) == 1 else None


def to_uint8(fraction: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Scale values of 0…1 to 0…255, rounded and clipped."""
    clipped: NDArray[np.floating] = np.clip(np.rint(fraction * 255), 0, 255)
    return clipped.astype(np.uint8)


def to_rgb(values: Array, source: Path | str) -> tuple[NDArray[np.uint8], str]:
    """Convert an array from a file or another program to RGB by the rules of `read_image`.

    Parameters
    ----------
    values
        `(H, W)`, `(H, W, 1…4)` or `(3, H, W)`; any integer, bool or floating type.
    source
        Name of the array in error messages.

    Returns
    -------
    `(H, W, 3)` uint8, and a text that describes the conversions.

    Raises
    ------
    ImageError
        If the shape is not that of an image, or pixels are NaN, infinite or negative.
    """
    notes = []
    if values.ndim == 3 and values.shape[0] == 3 and values.shape[2] > 4:
        values = np.moveaxis(values, 0, -1)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] > 4):
        raise ImageError(
            f"{source}: an array of shape {values.shape} is not a single image. "
            "Split a stack into its images first."
        )
    if 0 in values.shape:
        raise ImageError(f"{source}: the image is empty (shape {values.shape}).")
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = values[..., :-1]
        notes.append("alpha dropped")
    if values.ndim == 2 or values.shape[2] == 1:
        values = np.repeat(values.reshape(*values.shape[:2], 1), 3, axis=2)
        notes.append("grey to RGB")
    pixels, scaling = _to_8_bit(values, source)
    return np.ascontiguousarray(pixels), "; ".join(filter(None, [*notes, scaling]))


def _to_8_bit(values: Array, source: Path | str) -> tuple[NDArray[np.uint8], str]:
    if values.dtype == np.uint8:
        return values.view(np.uint8), ""
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255), "one bit scaled to 0 and 255"
    _check_values(values, source)
    high = float(values.max())
    if values.dtype.kind == "f" and high <= 1:
        return to_uint8(values.astype(np.float32)), "floating point 0…1 scaled to 0…255"
    full_scale = _full_scale(high)
    pixels = to_uint8(values.astype(np.float32) / full_scale)
    return pixels, f"{values.dtype}, full scale {full_scale} scaled to 255"


def _check_values(values: Array, source: Path | str) -> None:
    """Raise an error for pixels that are not finite numbers, or outside the range of 16 bits."""
    if values.dtype.kind not in "buif":
        raise ImageError(f"{source}: pixels of type {values.dtype} are not an image.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ImageError(f"{source}: holds NaN or infinite pixels. Replace them first.")
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _FULL_SCALES[-1]:
        raise ImageError(
            f"{source}: holds pixel values from {low:g} to {high:g}; the supported range is "
            "0 to 65535. Scale them first."
        )


def _full_scale(maximum: float) -> int:
    return next(scale for scale in _FULL_SCALES if scale >= maximum or scale == _FULL_SCALES[-1])


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} × {shape[0]}"
