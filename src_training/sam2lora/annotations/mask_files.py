"""Masks as image files, 0 and 255: one target each, named as `sam2lora predict` names them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile

from sam2lora.errors import OutputError
from sam2lora.images.decoding import image_stem, image_suffix
from sam2lora.images.visualization import save_image
from sam2lora.types import Mask, Pixels
from sam2lora.utils.files import atomic_path

_TIFF = (".tif", ".tiff")
LOSSLESS = (".png", *_TIFF)
"""Endings masks are written with: formats that keep every value and that everything reads."""


def save_mask(path: Path, mask: Mask) -> Path:
    """Write one mask, 0 and 255.

    Parameters
    ----------
    path
        PNG or TIFF, by its ending.
    mask
        `(H, W)` bool.

    Raises
    ------
    OutputError
        If the ending is another, or the file cannot be written.
    """
    write_values(path, mask.astype(np.uint8) * np.uint8(255))
    return path


def save_masks(path: Path, masks: Mapping[str, Mask]) -> list[Path]:
    """Write a file for each target beside one another: `eye_vessel.png`, `eye_disc.png`, ….

    Parameters
    ----------
    path
        The files' common beginning and their ending: `eye.png`.
    masks
        Target name to `(H, W)` bool.

    Raises
    ------
    OutputError
        If the ending is not of PNG or TIFF, or a file cannot be written; those before it are there.
    """
    stem, suffix = image_stem(path), path.suffix
    return [save_mask(path.with_name(f"{stem}_{name}{suffix}"), masks[name]) for name in masks]


def write_values(path: Path, values: Pixels) -> None:
    """Write `(H, W)` uint8 as it is.

    Raises
    ------
    OutputError
        As `save_mask`.
    """
    suffix = image_suffix(path)
    if suffix not in LOSSLESS:
        raise OutputError(
            f"{path}: cannot be written as {suffix or 'a file without an ending'}. Masks are "
            f"{', '.join(LOSSLESS)}: other formats lose values, or few programs read them."
        )
    if suffix in _TIFF:
        with atomic_path(path) as temporary:
            tifffile.imwrite(temporary, values, compression="zlib")
    else:
        save_image(path, values)
