"""The circle of a camera's aperture: fitted to the border of what is lit, and how it is cut off."""

import warnings

import numpy as np
from numpy.typing import NDArray
from skimage import measure

from sam2lora.types import Mask

_LEAST_SUPPORT = 0.35  # of the circle's arc inside the image that must show a border
_TOLERANCE = 1.5  # pixels between a border point and the circle it supports
_MOST = 0.8  # of the border near a known circle: no other circle has to be fitted
_LEAST_SHOWN = 0.6  # of the arc between straight cuts: an ellipse and a montage show less of one
_MOST_BEYOND = 0.08  # of what is lit that a circle may leave out: labels and notches
_MOST_DARK = 0.06  # of a circle that may be dark: a side that fades

Circle = tuple[float, float, float]  # x, y, radius
Cuts = tuple[int, int, int, int]  # rows at the top and bottom, columns at the left and right
Border = NDArray[np.float64]


def border_of(region: Mask) -> Border:
    """Return 400 to 800 points `(N, 2)` (x, y) on a region's border, without the image's own."""
    contours = measure.find_contours(np.pad(region, 1).astype(np.float32), 0.5)
    border = np.concatenate(contours)[:, ::-1] - 1  # (N, 2) x, y
    height, width = region.shape
    border = border[((border > 1) & (border < np.array([width, height]) - 2)).all(axis=1)]
    points: Border = border[:: max(1, len(border) // 400)]
    return points


def fit_circle(
    border: Border, shape: tuple[int, ...], *, near: Circle | None = None
) -> tuple[float, Circle] | None:
    """Fit a circle to the region's border; return the supported share of its arc and the circle.

    The fit is RANSAC, unless most of the border is `near` a known circle. None if no circle fits.
    """
    if len(border) < 20:
        return None
    inliers = None if near is None else near_circle(border, near, _TOLERANCE)
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
    support = _supported_arc(border, circle, shape)
    plausible = 0.25 * np.ptp(border, axis=0).max() < circle[2] < 1.5 * max(shape)
    return (support, circle) if plausible and support >= _LEAST_SUPPORT else None


def near_circle(points: Border, circle: Circle, distance: float = 2 * _TOLERANCE) -> Mask:
    """Return which points `(N, 2)` are within `distance` of a circle's line, `(N,)` bool."""
    x, y, radius = circle
    near: Mask = np.abs(np.hypot(points[:, 0] - x, points[:, 1] - y) - radius) <= distance
    return near


def _supported_arc(
    border: Border, circle: Circle, shape: tuple[int, ...], cuts: Cuts = (0, 0, 0, 0)
) -> float:
    """Return the share of the circle's arc inside the image that is close to border points."""
    x, y, radius = circle
    steps = 180
    angles = (np.arange(steps) + 0.5) * 2 * np.pi / steps
    arc_x, arc_y = x + radius * np.cos(angles), y + radius * np.sin(angles)
    top, bottom, left, right = cuts
    visible = (arc_x > left + 1) & (arc_x < shape[1] - right - 2)
    visible &= (arc_y > top + 1) & (arc_y < shape[0] - bottom - 2)
    near = border[near_circle(border, circle)] - (x, y)
    sectors = np.arctan2(near[:, 1], near[:, 0]) % (2 * np.pi) * steps / (2 * np.pi)
    supported = np.zeros(steps, dtype=np.bool_)
    supported[sectors.astype(np.intp) % steps] = True
    return float((supported & visible).sum() / max(1, visible.sum()))


def explains(circle: Circle, border: Border, region: Mask, lit: Mask) -> bool:
    """Check whether a circle, cut where its region is, is all that is lit.

    Parameters
    ----------
    circle
        Fitted to `border`.
    border, region
        Points on the border of the part that the circle was fitted to, and that part, `(H, W)`.
    lit
        `(H, W)` bool, all that is lit, `region` included.
    """
    x, y, radius = circle
    cuts = straight_cuts(region, circle)
    if _supported_arc(border, circle, lit.shape, cuts) < _LEAST_SHOWN:
        return False
    around = cut_disc((x, y, radius + 2 * _TOLERANCE), lit.shape)
    disc = cut_disc(circle, lit.shape, cuts)
    beyond, dark = (lit & ~around).sum() / lit.sum(), (disc & ~lit).sum() / max(1, disc.sum())
    return bool(beyond <= _MOST_BEYOND and dark <= _MOST_DARK)


def cut_disc(circle: Circle, shape: tuple[int, ...], cuts: Cuts = (0, 0, 0, 0)) -> Mask:
    """Return the pixels `(H, W)` within a circle, but for the lines that are cut off."""
    height, width = shape
    x, y, radius = circle
    top, bottom, left, right = cuts
    rows, columns = np.ogrid[:height, :width]
    disc: Mask = (columns - x) ** 2 <= radius**2 - (rows - y) ** 2
    disc[:top] = disc[height - bottom :] = False
    disc[:, :left] = disc[:, width - right :] = False
    return disc


def straight_cuts(region: Mask, circle: Circle) -> Cuts:
    """Return the number of rows (top, bottom) and columns (left, right) cropped from the circle.

    Only a sharp step from dark to bright is a crop; a side that fades into the dark is not.
    """
    x, y, radius = circle
    disc = cut_disc((x, y, radius - 2 * _TOLERANCE), region.shape)
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
