"""What a decoder of image files returns, and the limits that every decoder keeps.

A decoder reads the size from the header and calls `check_size` before it allocates any pixels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import ImageError
from sam2lora.types import Eye, Mask

Array = NDArray[Any]

MAX_PIXELS = 89_478_485
"""Largest image that is read, in pixels (9 460 squared): Pillow's limit for image bombs."""

MAX_BYTES = 6 * MAX_PIXELS
"""Most bytes that an image file is decoded to (512 MiB): RGB of 16 bits at `MAX_PIXELS`."""

REDUCE = "Reduce the image first; no fundus camera takes images of this size."
"""Advice for images beyond the limits."""


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """The content of an image file, unscaled.

    Attributes
    ----------
    values
        `(H, W)` or `(H, W, channels)` in the file's own type, upright. The last of 2 or 4 channels
        is alpha.
    spacing
        Millimetres per pixel (row, column), if the file gives it.
    eye
        "left" or "right", if the file gives it.
    note
        Text that describes the conversions on decoding; empty if there were none.
    """

    values: Array
    spacing: tuple[float, float] | None = None
    eye: Eye | None = None
    note: str = ""


def check_size(path: Path, height: int, width: int, *, pixel_bytes: int = 1) -> None:
    """Check a size from a header against the limits, before anything is decoded.

    Parameters
    ----------
    path
        The file, for the message.
    height, width
        Size in pixels.
    pixel_bytes
        Bytes per decoded pixel, over all channels.

    Raises
    ------
    ImageError
        If the size is not positive, or exceeds `MAX_PIXELS` or `MAX_BYTES`.
    """
    if min(height, width) < 1:
        raise ImageError(f"{path}: the image is empty ({width} × {height} pixels).")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{path}: {width} × {height} pixels are more than the limit of {MAX_PIXELS:,}. {REDUCE}"
        )
    if height * width * pixel_bytes > MAX_BYTES:
        raise ImageError(
            f"{path}: {width} × {height} pixels of {pixel_bytes} bytes are more than the limit of "
            f"{MAX_BYTES:,} bytes. Reduce the image, or save it with 8 bits per channel."
        )


def turn_upright(values: Array, orientation: int) -> Array:
    """Apply the TIFF/EXIF orientation tag (1…8) to rows and columns."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    flip_rows, flip_columns = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return values[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def border_share(mask: Mask) -> float:
    """Return the share of an image's outermost pixels that is on a mask, 0…1."""
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return float(border.mean())
