"""The mark in each mask and picture this project writes, by which it is never taken for an image.

A picture is what is drawn from an image: an overlay, a view, an overview, a plot.
"""

from pathlib import Path

from PIL.PngImagePlugin import PngInfo

MASK_SOFTWARE = "napari-sam2lora mask"
"""Value of the tag `Software` in a mask: a text chunk in PNG, tag 305 in TIFF."""

PICTURE_SOFTWARE = "napari-sam2lora picture"
"""Value of the tag `Software` in a picture."""

_MARKS = tuple(software.encode() for software in (MASK_SOFTWARE, PICTURE_SOFTWARE))
_HEAD = 4096  # bytes at the start of a file, before its pixels, that hold the mark


def png_mark(software: str) -> PngInfo:
    """Return the text chunk for a mask or picture in PNG."""
    mark = PngInfo()
    mark.add_text("Software", software)
    return mark


def is_marked(path: Path) -> bool:
    """Check whether a file has the mark of a mask or picture; only its first bytes are read."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:  # whatever is wrong with the file is reported where it is read
        return False
    return any(mark in head for mark in _MARKS)
