"""Masks as image files of 0 and 255, one per target, named as by `sam2lora predict`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from sam2lora.errors import OutputError
from sam2lora.images.decoding import image_stem, image_suffix
from sam2lora.images.file_mark import MASK_SOFTWARE, png_mark
from sam2lora.types import Mask, Pixels
from sam2lora.utils.files import atomic_path

_TIFF = (".tif", ".tiff")
LOSSLESS = (".png", *_TIFF)
"""Extensions of mask files: lossless formats that every program reads."""


def save_mask(path: Path, mask: Mask) -> Path:
    """Write one mask as 0 and 255.

    Parameters
    ----------
    path
        The file, PNG or TIFF by its extension.
    mask
        `(H, W)` bool.

    Raises
    ------
    OutputError
        If the extension is not of PNG or TIFF, or the file cannot be written.
    """
    write_values(path, mask.astype(np.uint8) * np.uint8(255))
    return path


def save_masks(path: Path, masks: Mapping[str, Mask]) -> list[Path]:
    """Write one file for each target: `eye_vessel.png`, `eye_disc.png`, ….

    Parameters
    ----------
    path
        Common stem and extension of the files: `eye.png`.
    masks
        Target name to `(H, W)` bool.

    Raises
    ------
    OutputError
        If the extension is not of PNG or TIFF, or a file cannot be written; earlier files stay.
    """
    stem, suffix = image_stem(path), path.suffix
    return [save_mask(path.with_name(f"{stem}_{name}{suffix}"), masks[name]) for name in masks]


def write_values(path: Path, values: Pixels) -> None:
    """Write `(H, W)` uint8 values unchanged, marked as a mask: see `images.file_mark`.

    Raises
    ------
    OutputError
        As in `save_mask`.
    """
    suffix = image_suffix(path)
    if suffix not in LOSSLESS:
        raise OutputError(
            f"{path}: masks cannot be written as {suffix or 'a file without an extension'}. Use "
            f"{', '.join(LOSSLESS)}: other formats change values, or few programs read them."
        )
    if suffix in _TIFF:
        with atomic_path(path) as temporary:
            tifffile.imwrite(temporary, values, compression="zlib", software=MASK_SOFTWARE)
    else:
        with atomic_path(path) as temporary:
            Image.fromarray(values).save(temporary, pnginfo=png_mark(MASK_SOFTWARE))
