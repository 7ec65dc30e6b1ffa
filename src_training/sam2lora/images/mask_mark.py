"""The mark in every mask file this project writes, by which it is never taken for an image."""

from pathlib import Path

import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

MASK_SOFTWARE = "napari-sam2lora mask"
"""Value of the tag `Software` in a mask: a text chunk in PNG, tag 305 in TIFF."""

_TIFF_SOFTWARE = 305


def png_mark() -> PngInfo:
    """Return the text chunk for a mask in PNG."""
    mark = PngInfo()
    mark.add_text("Software", MASK_SOFTWARE)
    return mark


def is_marked_mask(path: Path) -> bool:
    """Check whether a PNG or TIFF file has the mark; only its header is read."""
    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as tiff:
                tag = tiff.pages.first.tags.get(_TIFF_SOFTWARE)
                return tag is not None and tag.value == MASK_SOFTWARE
        with Image.open(path) as image:
            return image.info.get("Software") == MASK_SOFTWARE
    except Exception:  # whatever is wrong with the file is reported where it is read
        return False
