"""Find the field of view: the part of a fundus image that shows the eye.

Cameras image through a circular aperture; the outside is black, sometimes with a text label or a
notch, and many cameras crop the circle at the top, bottom or sides. The circle's diameter is the
one length that every fundus image has, so it sets the scale of everything else. In montages,
ultra-wide and stretched images no one circle is the field: there it is what is lit.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from sam2lora.errors import GeometryError
from sam2lora.images.aperture import (
    Circle,
    border_of,
    cut_disc,
    explains,
    fit_circle,
    near_circle,
    straight_cuts,
)
from sam2lora.images.bright_regions import BrightRegion, bright_regions, closed, is_rectangle
from sam2lora.images.surround import inside_frame, without_surround
from sam2lora.types import Mask

_WORKING_SIDE = 512  # longer side, in pixels, of the reduced image in which the circle is fitted
_NEARLY = 0.9  # of the highest step: a border at a lower threshold is as good
_WITHIN = 0.98  # of a circle that has to be in a region to be one of its fields
_BLACK = 10  # grey levels above the darkest percent that padding can have
_PADDED = (0.2, 0.6)  # of the image's longer side: content as small as that is padded with black
_PADDING = 0.05  # of the content's sides, kept around it


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """The part of a fundus image that shows the eye.

    Attributes
    ----------
    mask
        `(H, W)` bool: the pixels that show the eye.
    center
        Center (x, y) of the aperture's circle in native pixels; can be outside a cropped image.
        Of a region, the center of its bounding box.
    diameter
        Diameter of the aperture's circle in native pixels; larger than the mask if the circle is
        cropped. Of a region, the diameter of one of its fields if an arc of its border shows it, as
        in a montage, else of the largest circle inside it. Of a whole image, or a region that is a
        rectangle, the longer side.
    found
        How it was found: "circle", "region" (what is lit, where no one circle explains it) or
        "whole image" (there is no dark border).
    """

    mask: Mask
    center: tuple[float, float]
    diameter: float
    found: str = "circle"

    @property
    def extent(self) -> float:
        """Side of the square around `center` that holds the whole field, in native pixels."""
        if self.found != "region":
            return self.diameter
        extents = (np.flatnonzero(self.mask.any(axis=axis)) for axis in (1, 0))
        return max(self.diameter, *(float(np.ptp(lines) + 1) for lines in extents))


def find_field_of_view(pixels: NDArray[np.uint8]) -> FieldOfView:
    """Find the field of view by its brightness and the circle its border lies on.

    A light, uniform surround or frame counts as black. The image is thresholded at several levels
    above black; to the border of each largest bright region a circle is fitted by RANSAC, and of
    the circles that explain what is lit the one with the longest supported arc is used, cut where
    the region ends in a straight line. Where no one circle explains it, such as in a montage, the
    field is all that is lit, closed and with its holes filled; without a dark border it is the
    whole image.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    """
    height, width = pixels.shape[:2]
    inner = inside_frame(pixels)
    if inner:
        field = find_field_of_view(pixels[inner])
        if field.found != "whole image":
            return _embed(field, inner, (height, width))
    reduction = _reduction(height, width)
    light = without_surround(pixels, _reduce(_brightest(pixels), reduction))
    inner = _padded_content(light, reduction)
    if inner:
        field = find_field_of_view(pixels[inner])
        if field.found != "whole image":
            return _embed(field, inner, (height, width))
    levels: list[BrightRegion] = []
    best: tuple[float, Circle, Mask] | None = None
    near: Circle | None = None
    shown: tuple[float, Circle] | None = None
    for lit in bright_regions(light):
        if lit.is_sharp():
            levels.append(lit)
        fit = fit_circle(lit.border, light.shape, near=near)
        if fit is None:
            continue
        support, near = fit
        shown = max(fit, shown or fit)
        if (best is None or support > best[0]) and _is_aperture(near, lit):
            best = (support, near, lit.largest)
            if support == 1:  # no other circle can be better supported
                break
    if best:
        _, circle, region = best
        top, bottom, left, right = (round(cut * reduction) for cut in straight_cuts(region, circle))
        x, y, radius = _enlarge(circle, reduction)
        mask = cut_disc((x, y, radius), (height, width), (top, bottom, left, right))
        return FieldOfView(mask, (x, y), 2 * radius)
    if not levels:
        return _whole_image(height, width)
    highest = max(lit.step for lit in levels)
    lit = next(lit for lit in levels if lit.step >= _NEARLY * highest)
    working = Image.fromarray(closed(lit.whole).astype(np.uint8) * np.uint8(255))
    native = np.asarray(working.resize((width, height), Image.Resampling.BILINEAR)) >= 128
    return _region(native, shown and _enlarge(shown[1], reduction))


def _is_aperture(circle: Circle, lit: BrightRegion) -> bool:
    """Check whether a circle is a sharp border, and all that is lit."""
    return lit.is_sharp(near_circle(lit.border, circle)) and explains(
        circle, lit.border, lit.largest, lit.whole
    )


def field_of_view_from_mask(mask: Mask) -> FieldOfView:
    """Create the field of view of a mask, such as one distributed with a dataset.

    Raises
    ------
    GeometryError
        If the mask is empty.
    """
    if not mask.any():
        raise GeometryError("The field-of-view mask is empty.")
    reduction = _reduction(*mask.shape)
    reduced = _reduce_mask(mask, reduction)
    border = border_of(reduced) if reduced.any() else np.empty((0, 2))
    fit = fit_circle(border, reduced.shape)
    if fit is None:
        return _region(mask, None)
    x, y, radius = circle = _enlarge(fit[1], reduction)
    if explains(fit[1], border, reduced, reduced):
        return FieldOfView(mask, (x, y), 2 * radius)
    return _region(mask, circle)


def _region(mask: Mask, circle: Circle | None) -> FieldOfView:
    """Create the field of view of a native mask that is not one circle.

    `circle` is one that an arc of its border shows; it has to be within the mask to be one of its
    fields.
    """
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    center = (float(columns[0] + columns[-1]) / 2, float(rows[0] + rows[-1]) / 2)
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if is_rectangle(mask):
        diameter = float(max(box.shape))
    elif circle and mask[cut_disc(circle, mask.shape)].mean() > _WITHIN:
        diameter = 2 * circle[2]
    else:
        reduction = _reduction(*box.shape)
        depth = ndimage.distance_transform_edt(np.pad(_reduce_mask(box, reduction), 1))
        diameter = max(1.0, (2 * float(depth.max()) - 1) * reduction)
    return FieldOfView(mask, center, diameter, found="region")


def _padded_content(light: NDArray[np.uint8], reduction: float) -> tuple[slice, slice] | None:
    """Return the native rows and columns of what is lit, if it is small in its black padding."""
    lit = light > np.percentile(light, 1) + _BLACK
    rows, columns = (np.flatnonzero(lit.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    share = max(np.ptp(rows) + 1, np.ptp(columns) + 1) / max(light.shape)
    if not _PADDED[0] < share < _PADDED[1]:
        return None
    first, second = (
        slice(
            max(0, int((lines[0] - margin) * reduction)),
            int((lines[-1] + 1 + margin) * reduction),
        )
        for lines in (rows, columns)
        for margin in [1 + _PADDING * len(lines)]
    )
    return first, second


def _embed(field: FieldOfView, at: tuple[slice, slice], shape: tuple[int, int]) -> FieldOfView:
    """Return the field of view of a part of an image as that of the whole image."""
    mask = np.zeros(shape, dtype=np.bool_)
    mask[at] = field.mask
    x, y = field.center
    return replace(field, mask=mask, center=(x + at[1].start, y + at[0].start))


def _brightest(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the maximum of red, green and blue; `max` over the axis is ten times slower."""
    red, green, blue = np.moveaxis(pixels, -1, 0)
    brightest: NDArray[np.uint8] = np.maximum(np.maximum(red, green), blue)
    return brightest


def _whole_image(height: int, width: int) -> FieldOfView:
    return FieldOfView(
        np.ones((height, width), dtype=np.bool_),
        ((width - 1) / 2, (height - 1) / 2),
        float(max(height, width)),
        found="whole image",
    )


def _reduction(height: int, width: int) -> float:
    return max(1.0, max(height, width) / _WORKING_SIDE)


def _reduce(channel: NDArray[np.uint8], reduction: float) -> NDArray[np.uint8]:
    """Reduce by area averaging, and remove speckle by a median filter."""
    height, width = (max(1, round(side / reduction)) for side in channel.shape)
    reduced = Image.fromarray(channel).resize((width, height), Image.Resampling.BOX)
    return np.asarray(reduced.filter(ImageFilter.MedianFilter(3)))


def _reduce_mask(mask: Mask, reduction: float) -> Mask:
    reduced: Mask = _reduce(mask.astype(np.uint8) * np.uint8(255), reduction) > 127
    return reduced


def _enlarge(circle: Circle, reduction: float) -> Circle:
    x, y, radius = circle
    return (x + 0.5) * reduction - 0.5, (y + 0.5) * reduction - 0.5, radius * reduction
