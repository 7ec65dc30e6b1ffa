"""A light, uniform surround of a fundus image: a page, a frame or a panel, made black."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.types import Mask

_LIGHT = 40  # grey levels: a darker surround is as good as black
_CORNER = 4  # working pixels: side of the patch in a corner that gives a surround's color
_ALIKE = 12  # grey levels in each channel that one color varies by, by noise and JPEG
_STEP = 30  # grey levels in one channel between a surround and what it surrounds
_SHARP = 0.7  # of a surround's border that must show that step
_LEAST_AREA = 0.002  # of the image: nothing smaller is a surround
_MOST_AREA = 0.99  # of the image: more than that has no surround
_MOST_LETTER = 0.01  # of the image: a larger hole in a surround is a picture, not a letter
_FRINGE = 4  # working pixels of ringing and blur around a surround
_THIN = 2  # working pixels: half the width of what is a fringe and no picture
_MOST_FRAME = 0.05  # of the image's side: what is thicker is a surround, or a picture
_FRAME = 0.99  # of a line that has one color, if it belongs to a frame
_DARK = 12  # grey levels that a picture is brighter than, its black parts apart
_LEAST_PICTURE = 0.02  # of the image that is a picture, and no surround

_SQUARE = np.ones((3, 3), dtype=np.bool_)


def without_surround(pixels: NDArray[np.uint8], light: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the brightness of an image with its light, uniform surround made black.

    A surround has one color but for noise, holds a corner of what is not black, and ends in a sharp
    step everywhere. There can be several, one within or beside another. Letters in it belong to it.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    light
        `(h, w)` uint8: its brightness, at the same or a lower resolution.

    Returns
    -------
    `(h, w)` uint8; `light` itself if there is no surround.
    """
    lit = light > _LIGHT
    corners = _lit_corners(lit)
    if not corners:
        return light
    small = _sample(pixels, light.shape)
    surround = np.zeros(light.shape, dtype=np.bool_)
    while corners:
        zone = _uniform_zone(small, lit, corners.pop())
        if zone is None:
            continue
        grown = ndimage.binary_dilation(zone | surround, _SQUARE, _FRINGE)
        if np.mean((light > _DARK) & ~grown) < _LEAST_PICTURE:
            continue  # nothing is left that it could surround
        surround |= zone
        lit &= ~grown
        corners = _lit_corners(lit)
    return _blacken(light, surround) if surround.any() else light


def inside_frame(pixels: NDArray[np.uint8]) -> tuple[slice, slice] | None:
    """Return the native rows and columns inside a thin frame; None if there is none.

    A frame is what the outermost rows and columns show as long as each has one light color, up to a
    step, as the border of a window in a screenshot. It may be missing at some sides.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    """
    height, width = pixels.shape[:2]
    columns = np.moveaxis(pixels, 1, 0)
    thick = [
        _frame(lines, round(_MOST_FRAME * len(lines)))
        for lines in (pixels, pixels[::-1], columns, columns[::-1])
    ]
    if not any(thick):
        return None
    return slice(thick[0], height - thick[1]), slice(thick[2], width - thick[3])


def _frame(lines: NDArray[np.uint8], most: int) -> int:
    """Return how many of the first lines belong to a frame; 0 if they are more than `most`.

    A frame ends in a step, which the smooth border of a picture has not.
    """
    last = lines[0].astype(np.float32)
    for number, line in enumerate(lines[: most + 1]):
        color = np.median(line, axis=0)
        alike = (np.abs(line - color) <= _ALIKE).all(axis=-1)
        if color.max() <= _LIGHT or alike.mean() < _FRAME:
            return number if np.median(np.abs(line - last).max(axis=-1)) > _ALIKE else 0
        last = line.astype(np.float32)
    return 0


def _lit_corners(lit: Mask) -> list[tuple[slice, slice]]:
    """Return the corners of the box around what is lit that are lit themselves."""
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return []
    corners = [
        (slice(top, top + _CORNER), slice(left, left + _CORNER))
        for top in (rows[0], max(rows[-1] + 1 - _CORNER, 0))
        for left in (columns[0], max(columns[-1] + 1 - _CORNER, 0))
    ]
    return [corner for corner in corners if lit[corner].mean() > 0.5]


def _sample(pixels: NDArray[np.uint8], shape: tuple[int, ...]) -> NDArray[np.int16]:
    """Return every n-th pixel `(h, w, 3)`: averages would blend the colors at an edge."""
    rows, columns = (
        ((np.arange(count) + 0.5) * side / count).astype(np.intp)
        for side, count in zip(pixels.shape[:2], shape, strict=True)
    )
    sample: NDArray[np.int16] = pixels[rows[:, None], columns].astype(np.int16)
    return sample


def _uniform_zone(small: NDArray[np.int16], lit: Mask, corner: tuple[slice, slice]) -> Mask | None:
    """Return the part around a corner that is of its color and ends in a sharp step, or None."""
    color = np.median(small[corner][lit[corner]], axis=0)
    difference = np.abs(small - color).max(axis=-1)
    parts, _ = ndimage.label(difference <= _ALIKE)
    zone = parts == np.bincount(parts[corner][parts[corner] > 0], minlength=1).argmax()
    zone = _with_letters(zone)
    if not _LEAST_AREA < zone.mean() < _MOST_AREA:
        return None
    near = ndimage.binary_dilation(zone, _SQUARE, 2)
    beyond = ndimage.binary_dilation(near, _SQUARE, 2) & ~near
    if not beyond.any() or np.mean(difference[beyond] > _STEP) < _SHARP:
        return None
    fringe = ndimage.binary_dilation(zone, _SQUARE, _FRINGE)
    most = ndimage.maximum_filter(difference, 2 * _FRINGE + 1)
    return np.asarray(zone | (fringe & (difference < most / 2)))  # the edge is halfway up


def _with_letters(zone: Mask) -> Mask:
    """Fill the small holes of a zone."""
    holes, count = ndimage.label(~zone)
    small = np.bincount(holes.ravel(), minlength=count + 1) < _MOST_LETTER * zone.size
    at_edge = np.unique(np.concatenate([holes[0], holes[-1], holes[:, 0], holes[:, -1]]))
    small[at_edge] = False
    small[0] = True  # the zone itself
    return np.asarray(small[holes])


def _blacken(light: NDArray[np.uint8], surround: Mask) -> NDArray[np.uint8]:
    """Return `light`, black in the surround and without its fringe, which is thin."""
    black = np.where(surround, np.uint8(0), light)
    fringe = ndimage.binary_dilation(surround, _SQUARE, _FRINGE)
    return np.where(fringe, ndimage.grey_opening(black, 2 * _THIN + 1), black)
