"""Give an answer the form that optic disc and cup have: one part, without dents.

Where a network is unsure, its answer has holes, dents where vessels cross the border, and crumbs
elsewhere. Not one threshold is mended but all of them, so that whoever chooses one, later, gets a
mask of that form.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial, special

from sam2lora.transforms.windows import Points, Values
from sam2lora.types import Mask

LEVELS = tuple(round(0.1 * step, 1) for step in range(1, 10))
"""Probabilities at which the form is computed; between them it is interpolated."""

_LOGITS = tuple(float(special.logit(level)) for level in LEVELS)
_SURE = _LOGITS[LEVELS.index(0.5)]
_STEP = 1e-3  # of a logit, much less than a level: rounding on the way to native pixels costs less
_ROUNDING = 1e-6  # pixels
_TOUCHING = np.ones((3, 3), dtype=np.bool_)  # pixels of one part may touch at a corner

Pixel = tuple[int, int]  # row, column


def convex_envelope(
    logits: Values, on: Points, off: Points, *, valid: Mask, within: Mask | None = None
) -> Values:
    """Make what lies above each probability one convex part.

    Of several parts those with a point `on` the target count, else the largest; at levels that none
    of the points reaches, what is likeliest in the part of the level before. What lies between the
    hulls of two levels rises evenly from one to the next. At a level where the hull would add a
    pixel that a user put `off` the target, dents stay.

    Parameters
    ----------
    logits
        `(n, n)` float32.
    on, off
        `(N, 2)` points (x, y) of the user's, in pixels of `logits`.
    valid
        `(n, n)` bool: the field of view; nothing outside is a part.
    within
        `(n, n)` bool: where the part is to be sought if no point says so, such as a box; where it
        holds nothing, and for None, everywhere.

    Returns
    -------
    `(n, n)` float32, outside the part below the lowest level. Logits with NaN among them come back
    as they are.
    """
    if np.isnan(logits).any() or not valid.any():
        return logits
    seeds = [pixel for pixel in _pixels(on, logits.shape) if valid[pixel]]
    denied = _pixels(off, logits.shape)
    formed: Values = np.minimum(logits, np.float32(_LOGITS[0] - _STEP))
    sought = valid if within is None or not (within & valid).any() else within & valid
    hulls: list[Mask] = []
    for part in _parts(np.where(valid, logits, -np.inf), seeds, sought):
        hull = _hull(part)
        if any(hull[pixel] and not part[pixel] for pixel in denied):
            hull = part
        hulls.append(hull & hulls[-1] if hulls else hull)
    highest = float(logits[hulls[-1]].max()) if hulls else 0.0
    for number, hull in enumerate(hulls):
        inner = hulls[number + 1] if number + 1 < len(hulls) else None
        high = _LOGITS[number + 1] if inner is not None else max(highest, _LOGITS[number])
        _rise(formed, _LOGITS[number], hull, high, inner)
    return formed


def _parts(logits: Values, seeds: Sequence[Pixel], sought: Mask) -> Iterator[Mask]:
    """Give the part at each level, until there is none; each lies in the one before."""
    seen = np.where(sought, logits, -np.inf)
    sure, count = ndimage.label(seen >= min(_SURE, float(seen.max())), _TOUCHING)
    likely = sure == 1 + np.bincount(sure.ravel(), minlength=count + 1)[1:].argmax()
    inside = np.ones_like(likely)
    for level in _LOGITS:
        numbers, count = ndimage.label((logits >= level) & inside, _TOUCHING)
        wanted = {int(numbers[pixel]) for pixel in seeds} - {0}
        if not wanted:
            wanted = {int(numbers.flat[np.where(likely, logits, -np.inf).argmax()])} - {0}
        if not wanted:
            return
        chosen = np.zeros(count + 1, dtype=np.bool_)
        chosen[list(wanted)] = True
        likely = inside = chosen[numbers]
        yield inside


def _rise(formed: Values, low: float, outer: Mask, high: float, inner: Mask | None) -> None:
    """Let values rise from `low` at the edge of a part to `high` at a part in it, or its middle."""
    rows, columns = (slice(ends[0], ends[-1] + 1) for ends in _extent(outer))
    area = outer[rows, columns]
    depth = ndimage.distance_transform_edt(np.pad(area, 1))[1:-1, 1:-1]
    if inner is None or not inner.any():
        share = depth / depth.max()
    else:
        away = ndimage.distance_transform_edt(~inner[rows, columns])
        share = np.where(away > 0, (depth - 0.5) / (depth - 0.5 + away), 1)
    values = low + _STEP + share * (high - low)
    formed[rows, columns][area] = values[area]


def _extent(mask: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the rows and the columns that hold something."""
    return np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))


def _pixels(points: Points, shape: tuple[int, ...]) -> list[Pixel]:
    """Give the pixels that points lie on, without those beyond the edge."""
    places = [(round(float(y)), round(float(x))) for x, y in points]
    return [one for one in places if 0 <= one[0] < shape[0] and 0 <= one[1] < shape[1]]


def _hull(part: Mask) -> Mask:
    """Fill the convex hull of a mask's pixel centers."""
    rows = np.flatnonzero(part.any(axis=1))
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - 1 - part[rows, ::-1].argmax(axis=1)
    # No other pixels of a row can be corners.
    ends = np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
    # Fewer points, or points in a line, have no area between them.
    if np.linalg.matrix_rank(ends[1:] - ends[0]) < 2:
        return part
    corners = ends[spatial.ConvexHull(ends).vertices].astype(np.float64)
    after = np.roll(corners, -1, axis=0)
    sloping = corners[:, 1] != after[:, 1]
    (x, y), (next_x, next_y) = corners[sloping].T[..., None], after[sloping].T[..., None]
    lines = np.arange(rows[0], rows[-1] + 1)
    share = (lines - y) / (next_y - y)  # of each side, where it crosses each row
    crossing = np.where((share >= 0) & (share <= 1), x + share * (next_x - x), np.nan)
    left, right = np.nanmin(crossing, axis=0), np.nanmax(crossing, axis=0)
    columns = np.arange(part.shape[1])
    hull = part.copy()
    hull[lines] |= (columns >= left[:, None] - _ROUNDING) & (columns <= right[:, None] + _ROUNDING)
    return hull
