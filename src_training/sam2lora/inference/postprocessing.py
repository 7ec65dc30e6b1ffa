"""Make a prediction convex, as optic disc and cup are: a smooth outline of the largest component.

Where a network is uncertain, its prediction has holes, dents where vessels cross the border, and
small components beside it. The probabilities are changed at all levels, so that every threshold,
even one chosen later, yields such a mask.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial, special

from sam2lora.inference.outline import smooth_outline
from sam2lora.transforms.windows import Points, Values
from sam2lora.types import Mask

LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""Probabilities at which the outline is computed; between them it is interpolated."""

_LOGITS = tuple(float(special.logit(level)) for level in LEVELS)
_CERTAIN = _LOGITS[LEVELS.index(0.5)]
_STEP = 1e-3  # of a logit, much less than a level, and more than the rounding of resampling
_ROUNDING = 1e-6  # pixels
_TOUCHING = np.ones((3, 3), dtype=np.bool_)  # 8-connectivity

Pixel = tuple[int, int]  # row, column


def convex_envelope(
    logits: Values, positive: Points, negative: Points, *, valid: Mask, within: Mask | None = None
) -> Values:
    """Make the region above each probability one convex component.

    Of several components those with a positive point count, or else the largest; at a level that no
    point reaches, the component with the highest logit in that of the level below. Several are
    joined by their convex hull, one gets a smooth outline. Between the outlines of two levels
    values rise evenly. At a level whose outline would include a negative point, or leave out a
    positive one, the component stays as it is.

    Parameters
    ----------
    logits
        `(n, n)` float32.
    positive, negative
        `(N, 2)` points (x, y) on and off the target, in pixels of `logits`.
    valid
        `(n, n)` bool: the field of view; nothing outside belongs to a component.
    within
        `(n, n)` bool: where to look for the component if there is no positive point, such as a box;
        everywhere if it is None or holds no valid pixel.

    Returns
    -------
    `(n, n)` float32, below the lowest level outside the component. Logits that contain NaN are
    returned unchanged.
    """
    if np.isnan(logits).any() or not valid.any():
        return logits
    seeds = [pixel for pixel in _pixels(positive, logits.shape) if valid[pixel]]
    excluded = _pixels(negative, logits.shape)
    result: Values = np.minimum(logits, np.float32(_LOGITS[0] - _STEP))
    region = valid if within is None or not (within & valid).any() else within & valid
    inside = np.where(valid, logits, -np.inf)
    probabilities = special.expit(inside)
    outlines: list[Mask] = []
    for level, component in zip(LEVELS, _components(inside, seeds, region), strict=False):
        outline = _outline(component, probabilities, level, valid)
        if any(outline[pixel] and not component[pixel] for pixel in excluded) or any(
            component[pixel] and not outline[pixel] for pixel in seeds
        ):
            outline = component
        outlines.append(outline & outlines[-1] if outlines else outline)
        if not outlines[-1].any():
            outlines.pop()
            break
    highest = float(logits[outlines[-1]].max()) if outlines else 0.0
    for number, outline in enumerate(outlines):
        inner = outlines[number + 1] if number + 1 < len(outlines) else None
        high = _LOGITS[number + 1] if inner is not None else max(highest, _LOGITS[number])
        _fill_between(result, _LOGITS[number], outline, high, inner)
    return result


def _outline(component: Mask, probabilities: Values, level: float, valid: Mask) -> Mask:
    """Return a component with a smooth outline, or the parts that prompts chose, joined."""
    if ndimage.label(component, _TOUCHING)[1] > 1:
        return _hull(component)
    return smooth_outline(component, probabilities, level, valid=valid)


def _components(logits: Values, seeds: Sequence[Pixel], region: Mask) -> Iterator[Mask]:
    """Yield the component of each level until there is none; each lies in the one before."""
    inner = np.where(region, logits, -np.inf)
    certain, count = ndimage.label(inner >= min(_CERTAIN, float(inner.max())), _TOUCHING)
    likely = certain == 1 + np.bincount(certain.ravel(), minlength=count + 1)[1:].argmax()
    inside = np.ones_like(likely)
    for level in _LOGITS:
        numbers, count = ndimage.label((logits >= level) & inside, _TOUCHING)
        selected = {int(numbers[pixel]) for pixel in seeds} - {0}
        if not selected:
            selected = {int(numbers.flat[np.where(likely, logits, -np.inf).argmax()])} - {0}
        if not selected:
            return
        is_selected = np.zeros(count + 1, dtype=np.bool_)
        is_selected[list(selected)] = True
        likely = inside = is_selected[numbers]
        yield inside


def _fill_between(result: Values, low: float, outer: Mask, high: float, inner: Mask | None) -> None:
    """Fill `outer` with values from `low` at its edge to `high` at `inner`, or at its center."""
    rows, columns = (slice(ends[0], ends[-1] + 1) for ends in _extent(outer))
    area = outer[rows, columns]
    depth = ndimage.distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1]
    if inner is None or not inner.any():
        share = depth / depth.max()
    else:
        away = ndimage.distance_transform_edt(~inner[rows, columns])
        share = np.where(away > 0, (depth - 0.5) / (depth - 0.5 + away), 1)
    values = low + _STEP + share * (high - low)
    result[rows, columns][area] = values[area]


def _extent(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and the columns that contain a pixel of the mask."""
    return np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))


def _pixels(points: Points, shape: tuple[int, ...]) -> list[Pixel]:
    """Return the pixels that points lie on, without those outside the array."""
    pixels = [(round(float(y)), round(float(x))) for x, y in points]
    return [
        (row, column) for row, column in pixels if 0 <= row < shape[0] and 0 <= column < shape[1]
    ]


def _hull(mask: Mask) -> Mask:
    """Fill the convex hull of a mask's pixel centers."""
    rows = np.flatnonzero(mask.any(axis=1))
    first = mask[rows].argmax(axis=1)
    last = mask.shape[1] - 1 - mask[rows, ::-1].argmax(axis=1)
    # Only the first and the last pixel of a row can be corners.
    ends = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
    # One or two points, or points on a line, enclose no area.
    if np.linalg.matrix_rank(ends[1:] - ends[0]) < 2:
        return mask
    corners = ends[spatial.ConvexHull(ends).vertices].astype(np.float64)
    after = np.roll(corners, -1, axis=0)
    sloping = corners[:, 1] != after[:, 1]
    (x, y), (next_x, next_y) = corners[sloping].T[..., None], after[sloping].T[..., None]
    lines = np.arange(rows[0], rows[-1] + 1)
    share = (lines - y) / (next_y - y)  # the position along each side where it crosses each row
    crossing = np.where((share >= 0) & (share <= 1), x + share * (next_x - x), np.nan)
    left, right = np.nanmin(crossing, axis=0), np.nanmax(crossing, axis=0)
    columns = np.arange(mask.shape[1])
    hull = mask.copy()
    hull[lines] |= (columns >= left[:, None] - _ROUNDING) & (columns <= right[:, None] + _ROUNDING)
    return hull
