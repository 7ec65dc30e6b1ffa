"""Find the field of view: the part of a fundus image that shows the eye.

Cameras image through a circular aperture; the outside is black, sometimes with a text label or a
notch, and many cameras crop the circle at the top, bottom or sides. The circle's diameter is the
one length that every fundus image has, so it sets the scale of everything else.
"""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage
from skimage import measure

from sam2lora.errors import GeometryError
from sam2lora.types import Mask

_WORKING_SIDE = 512  # longer side, in pixels, of the reduced image in which the circle is fitted
_STEPS_ABOVE_BLACK = (6, 10, 16, 26, 40)  # grey levels at which the image is thresholded
_LEAST_AREA = 0.1  # of the image: a smaller bright region is not a field of view
_DARK_OUTSIDE = 0.5  # largest ratio of the median brightness outside to that inside
_LEAST_SUPPORT = 0.35  # of the circle's arc inside the image that must show a border
_TOLERANCE = 1.5  # working pixels between a border point and the circle it supports
_MOST = 0.8  # of the border near a known circle: no other circle has to be fitted

Circle = tuple[float, float, float]  # x, y, radius


@dataclass(frozen=True, eq=False)
class FieldOfView:
    """The part of a fundus image that shows the eye.

    Attributes
    ----------
    mask
        `(H, W)` bool: the pixels that show the eye.
    center
        Center (x, y) of the aperture's circle in native pixels; can be outside a cropped image.
    diameter
        Diameter of the aperture's circle in native pixels; larger than the mask if the circle is
        cropped.
    found
        How it was found: "circle", "region" (bright, but not round) or "whole image" (there is no
        dark border).
    """

    mask: Mask
    center: tuple[float, float]
    diameter: float
    found: str = "circle"


def find_field_of_view(pixels: NDArray[np.uint8]) -> FieldOfView:
    """Find the field of view by its brightness and the circle its border lies on.

    The image is thresholded at several levels above black; to the border of each largest bright
    region a circle is fitted by RANSAC, and the circle with the longest supported arc is used, cut
    where the region ends in a straight line. Without such a circle the bright region itself is the
    field of view; without a dark border it is the whole image.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    """
    height, width = pixels.shape[:2]
    reduction = _reduction(height, width)
    first: Mask | None = None
    fits: list[tuple[tuple[float, Circle], Mask]] = []
    for region in _bright_regions(_reduce(_brightest(pixels), reduction)):
        first = region if first is None else first
        fit = _fit_circle(region, near=fits[-1][0][1] if fits else None)
        if fit:
            fits.append((fit, region))
            if fit[0] == 1:  # no other circle can be better supported
                break
    if first is None:
        return _whole_image(height, width)
    if not fits:
        native = Image.fromarray(first).resize((width, height), Image.Resampling.NEAREST)
        return field_of_view_from_mask(np.array(native))
    (_, circle), region = max(fits, key=lambda fit: fit[0][0])
    top, bottom, left, right = (round(cut * reduction) for cut in _straight_cuts(region, circle))
    x, y, radius = _enlarge(circle, reduction)
    rows, columns = np.ogrid[:height, :width]
    mask = (columns - x) ** 2 <= radius**2 - (rows - y) ** 2
    mask[:top] = mask[height - bottom :] = False
    mask[:, :left] = mask[:, width - right :] = False
    return FieldOfView(mask, (x, y), 2 * radius)


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
    fit = _fit_circle(_reduce(mask.astype(np.uint8) * np.uint8(255), reduction) > 127)
    if fit:
        x, y, radius = _enlarge(fit[1], reduction)
        return FieldOfView(mask, (x, y), 2 * radius)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    center = (float(columns[0] + columns[-1]) / 2, float(rows[0] + rows[-1]) / 2)
    diameter = float(max(np.ptp(rows), np.ptp(columns)) + 1)
    return FieldOfView(mask, center, diameter, found="region")


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


def _enlarge(circle: Circle, reduction: float) -> Circle:
    x, y, radius = circle
    return (x + 0.5) * reduction - 0.5, (y + 0.5) * reduction - 0.5, radius * reduction


def _bright_regions(light: NDArray[np.uint8]) -> Iterator[Mask]:
    """Yield the largest bright region at each threshold, from the lowest threshold up."""
    black = np.percentile(light, 1)
    for step in _STEPS_ABOVE_BLACK:
        components, count = ndimage.label(light > black + step)
        if count == 0:
            break
        largest = 1 + np.bincount(components.ravel())[1:].argmax()
        region = _without_holes(components == largest)
        if not _LEAST_AREA < region.mean() < 0.995:
            continue
        if _median(light[~region]) < _DARK_OUTSIDE * _median(light[region]):
            yield region


def _without_holes(region: Mask) -> Mask:
    """Fill the holes of a region, faster than `binary_fill_holes`."""
    outside, _ = ndimage.label(np.pad(~region, 1, constant_values=True))
    filled: Mask = outside[1:-1, 1:-1] != outside[0, 0]
    return filled


def _median(levels: NDArray[np.uint8]) -> int:
    """Return the lower median of grey levels, from their histogram."""
    counts = np.bincount(levels, minlength=1).cumsum()
    return int(np.searchsorted(counts, (counts[-1] + 1) // 2))


def _fit_circle(region: Mask, *, near: Circle | None = None) -> tuple[float, Circle] | None:
    """Fit a circle to the region's border; return the supported share of its arc and the circle.

    The fit is RANSAC, unless most of the border is `near` a known circle. None if no circle fits.
    """
    contours = measure.find_contours(np.pad(region, 1).astype(np.float32), 0.5)
    border = np.concatenate(contours)[:, ::-1] - 1  # (N, 2) x, y
    height, width = region.shape
    border = border[((border > 1) & (border < np.array([width, height]) - 2)).all(axis=1)]
    border = border[:: max(1, len(border) // 400)]
    if len(border) < 20:
        return None
    inliers = None if near is None else _near(border, near, _TOLERANCE)
    if inliers is None or inliers.mean() < _MOST:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="No inliers found")  # handled below
            _, inliers = measure.ransac(
                border, measure.CircleModel, 3, _TOLERANCE, max_trials=300, rng=0
            )
    if inliers is None or inliers.sum() < 20:
        return None
    model = measure.CircleModel.from_estimate(border[inliers])
    circle = (float(model.center[0]), float(model.center[1]), float(model.radius))
    support = _supported_arc(border, circle, region.shape)
    plausible = 0.25 * max(region.shape) < circle[2] < 1.5 * max(region.shape)
    return (support, circle) if plausible and support >= _LEAST_SUPPORT else None


def _near(points: NDArray[np.float64], circle: Circle, distance: float) -> Mask:
    """Return which points `(N, 2)` are within `distance` of a circle's line, `(N,)` bool."""
    x, y, radius = circle
    near: Mask = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius) <= distance
    return near


def _supported_arc(border: NDArray[np.float64], circle: Circle, shape: tuple[int, ...]) -> float:
    """Return the share of the circle's arc inside the image that is close to border points."""
    x, y, radius = circle
    steps = 180
    angles = (np.arange(steps) + 0.5) * 2 * np.pi / steps
    arc_x, arc_y = x + radius * np.cos(angles), y + radius * np.sin(angles)
    visible = (arc_x > 1) & (arc_x < shape[1] - 2) & (arc_y > 1) & (arc_y < shape[0] - 2)
    near = border[_near(border, circle, 2 * _TOLERANCE)] - (x, y)
    sectors = np.arctan2(near[:, 1], near[:, 0]) % (2 * np.pi) * steps / (2 * np.pi)
    supported = np.zeros(steps, dtype=np.bool_)
    supported[sectors.astype(np.intp) % steps] = True
    return float((supported & visible).sum() / max(1, visible.sum()))


def _straight_cuts(region: Mask, circle: Circle) -> tuple[int, int, int, int]:
    """Return the number of rows (top, bottom) and columns (left, right) cropped from the circle.

    Only a sharp step from dark to bright is a crop; a side that fades into the dark is not.
    """
    x, y, radius = circle
    rows, columns = np.ogrid[: region.shape[0], : region.shape[1]]
    disc = (columns - x) ** 2 + (rows - y) ** 2 <= (radius - 2 * _TOLERANCE) ** 2
    by_row = _share(region & disc, disc, axis=1)
    by_column = _share(region & disc, disc, axis=0)
    return (
        _leading_dark(by_row),
        _leading_dark(by_row[::-1]),
        _leading_dark(by_column),
        _leading_dark(by_column[::-1]),
    )


def _share(part: Mask, whole: Mask, *, axis: int) -> NDArray[np.float64]:
    """Return the share of `whole` that `part` covers in each line; NaN where `whole` is empty."""
    counts = whole.sum(axis=axis).astype(np.float64)
    counts[counts == 0] = np.nan
    return np.asarray(part.sum(axis=axis) / counts)


def _leading_dark(bright: NDArray[np.float64]) -> int:
    """Count the leading dark lines if they end in a sharp step, else return 0."""
    lines = np.flatnonzero(~np.isnan(bright))
    dark = int(np.argmax(bright[lines] > 0.3)) if (bright[lines] > 0.3).any() else 0
    if dark == 0 or bright[lines][dark : dark + 4].max(initial=0) < 0.7:
        return 0
    return int(lines[0] + dark)
