"""Read fundus images and masks in every format in which datasets are distributed.

TIFF (LZW, JPEG, 16-bit), PNG, JPEG, BMP, GIF, PPM/PGM (also gzipped), WebP, JPEG 2000, AVIF, and
DICOM with the extra `dicom`. Every file becomes an upright `(H, W, 3)` uint8 RGB image, by
documented rules.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import ImageError
from sam2lora.images.decoded_image import Array
from sam2lora.images.decoding import decode
from sam2lora.images.full_scale import check_values, find_full_scale, to_8_bit
from sam2lora.types import Eye


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

    The EXIF orientation is applied, and `to_rgb` converts the values.

    Raises
    ------
    ImageError
        If the file is missing, empty, truncated, not an image, a stack of several images, larger
        than `MAX_PIXELS` or `MAX_BYTES`, or its values cannot be converted.
    """
    path = Path(path)
    decoded = decode(path)
    pixels, note = to_rgb(decoded.values, path)
    return FundusImage(
        pixels,
        path=path,
        spacing=decoded.spacing,
        eye=decoded.eye or eye_from_name(path.stem),
        note="; ".join(filter(None, [decoded.note, note])),
    )


def read_values(path: str | Path) -> Array:
    """Read a one-channel image, such as a mask or a label image, without scaling its values.

    A colour file whose channels are equal gives one of them; a colour palette gives its indices.
    Pixels that are more transparent than not are 0.

    Returns
    -------
    `(H, W)` in the file's data type; bool for one-bit files.

    Raises
    ------
    ImageError
        As for `read_image`, and if the channels of the file differ, or only its transparency
        differs.
    """
    path = Path(path)
    values = decode(path, stored_values=True).values
    check_values(values, path)
    if values.ndim == 2:
        return values
    colors, alpha = _apply_alpha(values, path)
    if alpha is not None and not colors.any() and not (alpha == alpha.flat[0]).all():
        raise ImageError(
            f"{path}: holds its mask as transparency only. Save it as black and white."
        )
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
    if values.dtype == np.bool_ or values.max() <= 1:
        return np.asarray(values > 0.5)
    return np.asarray(values > find_full_scale(values) / 2)


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


def to_rgb(values: Array, source: Path | str) -> tuple[NDArray[np.uint8], str]:
    """Convert an array from a file or another program to 8-bit RGB.

    Grey becomes RGB. Alpha is dropped, and pixels that are more transparent than not become black,
    like what is outside of the field of view. Integers of more than 8 bits are scaled so that the
    smallest full scale of 8, 10, 12, 14 or 16 bits that holds the values becomes 255; floating
    point that stays below 2 is scaled by 255, above that like integers. What overshoots a scale
    does not count, and is clipped: stray values, at most one in 10 000 that are not 0; a caption,
    whose one value of 255 or 65535 is far beyond all others; and in floating point the ringing of
    interpolation, at most one in 100 values that reach no more than 1.25 times the scale.

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
        If the shape is not that of an image, or pixels are NaN, infinite, negative or all
        transparent.
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
        values, alpha = _apply_alpha(values, source)
        hidden = alpha is not None and bool((alpha < alpha.max() / 2).any())
        notes.append("alpha dropped" + (", transparent pixels made black" if hidden else ""))
    grey = values.ndim == 2 or values.shape[2] == 1
    if grey:
        values = values.reshape(values.shape[:2])
        notes.append("grey to RGB")
    pixels, scaling = to_8_bit(values, source)
    if grey:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return np.ascontiguousarray(pixels), "; ".join(filter(None, [*notes, scaling]))


def _apply_alpha(values: Array, source: Path | str) -> tuple[Array, Array | None]:
    """Return the channels without alpha, and alpha `(H, W)` if there is one.

    Where alpha is below half of its highest value, as at a soft edge, the channels are 0.
    """
    if values.shape[2] not in (2, 4):
        return values, None
    colors, alpha = values[..., :-1], values[..., -1]
    if not alpha.any():
        raise ImageError(f"{source}: every pixel is transparent. Save it without transparency.")
    outside = alpha < alpha.max() / 2
    if not outside.any():
        return colors, alpha
    return np.where(outside[..., None], np.zeros((), colors.dtype), colors), alpha


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]} × {shape[0]}"
