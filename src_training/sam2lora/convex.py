"""Give an answer the form that optic disc and cup have: one part, without dents.

Where a network is unsure, its answer has holes, dents where vessels cross the border, and crumbs
elsewhere. Not one threshold is mended but all of them, so that whoever chooses one, later, gets a
mask of that form.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial, special

from sam2lora.arrays import Mask
from sam2lora.geometry import Points, Values

LEVELS = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Probabilities at which the answer gets its form."""

_LOGITS = tuple(float(special.logit(level)) for level in LEVELS)
_ROUNDING = 1e-6  # pixels
_STEP = 1e-3  # of a logit: less than a level
_SURE = _LOGITS[LEVELS.index(0.5)]


def convex_envelope(logits: Values, on: Points, off: Points) -> Values:
    """Make what lies above each level one convex part.

    Of several parts that with a point `on` the target counts, else the largest. Pixels that its
    convex hull adds are raised to the level; other parts are lowered to below the lowest one. At a
    level where the hull would add a pixel that a user put `off` the target, dents stay.

    Parameters
    ----------
    logits
        `(n, n)` float32.
    on, off
        `(N, 2)` points (x, y) of the user's, in pixels of `logits`.

    Returns
    -------
    `(n, n)` float32; the logits themselves inside the part.
    """
    anchors = _pixels(on, logits.shape) or _anchor(logits)
    denied = _pixels(off, logits.shape)
    formed: Values = np.minimum(logits, np.float32(_LOGITS[0] - _STEP))
    for level, above in pairwise((*_LOGITS, np.inf)):
        part = _part(logits >= level, anchors)
        if not part.any():
            break
        hull = _hull(part)
        if not any(hull[pixel] and not part[pixel] for pixel in denied):
            # A step more, so that rounding on the way to native pixels loses none of it.
            np.maximum(formed, np.float32(level + _STEP), out=formed, where=hull)
        # Up to the next level only: there it may be another part.
        below = np.minimum(logits, np.float32(above) - np.float32(_STEP))
        np.maximum(formed, below, out=formed, where=part)
    return formed


def _pixels(points: Points, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Give the pixels (row, column) that points lie on, without those beyond the edge."""
    places = [(round(float(y)), round(float(x))) for x, y in points]
    return [one for one in places if 0 <= one[0] < shape[0] and 0 <= one[1] < shape[1]]


def _anchor(logits: Values) -> list[tuple[int, int]]:
    """Give the likeliest pixel of the largest part that is sure, or of all."""
    parts, count = ndimage.label(logits >= min(_SURE, float(logits.max())))
    largest = 1 + np.bincount(parts.ravel(), minlength=count + 1)[1:].argmax()
    likeliest = np.where(parts == largest, logits, -np.inf).argmax()
    row, column = np.unravel_index(likeliest, logits.shape)
    return [(int(row), int(column))]


def _part(above: Mask, anchors: Sequence[tuple[int, int]]) -> Mask:
    """Give the parts that hold one of the pixels."""
    parts, _ = ndimage.label(above)
    wanted = {int(parts[pixel]) for pixel in anchors} - {0}
    return np.isin(parts, list(wanted)) if wanted else np.zeros_like(above)


def _hull(part: Mask) -> Mask:
    """Fill the convex hull of a mask's pixel centers."""
    corners = _ends(part)
    # Fewer points, or points in a line, have no area between them.
    if np.linalg.matrix_rank(corners[1:] - corners[0]) < 2:
        return part
    normals, offsets = np.split(spatial.ConvexHull(corners).equations, [2], axis=1)
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0) + 1
    rows, columns = np.mgrid[top:bottom, left:right]
    beyond = normals @ np.stack([columns.ravel(), rows.ravel()]) + offsets  # of each side
    hull = np.zeros_like(part)
    hull[top:bottom, left:right] = (beyond <= _ROUNDING).all(axis=0).reshape(rows.shape)
    return hull


def _ends(part: Mask) -> NDArray[np.int64]:
    """Give the first and last pixel (x, y) of each row: no other can be a corner of the hull."""
    rows = np.flatnonzero(part.any(axis=1))
    first = part[rows].argmax(axis=1)
    last = part.shape[1] - 1 - part[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([first, rows], axis=1), np.stack([last, rows], axis=1)])
