"""Add a missed branch of a tree to a prediction, or remove a false one, by one click.

A click at the far end of a missed branch adds the path from there to the tree that is there, along
the ridge of the probabilities, as wide as these show it. A click on a false branch removes it up to
its fork. Nothing else changes.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special
from skimage.draw import line
from skimage.graph import MCP_Geometric
from skimage.morphology import skeletonize

from sam2lora.inference.corrections import decode_margins, encode_margins
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.transforms.windows import Values, Window
from sam2lora.types import Mask

_SIZE = 512  # of the window in which a branch is looked for
_SHARE = 512 / 1240  # its side, of the field's diameter: thin vessels are two pixels wide
_RIDGES = (1.5, 2.5)  # standard deviations of the ridge filter in window pixels
_FLAT = 0.1  # against the squared strength of a ridge: how much a path avoids what is none
_FALL = 1.0  # a branch ends where the margin is this much below that of its middle
_WIDEST, _NARROWEST = 4.0, 1.5  # distance from its middle in window pixels
_SPUR = 1.5  # of the width of the branch it comes from: a shorter side of a skeleton is no branch
_CERTAIN = 2.0  # margin of what is added, and its negative of what is removed
_TOUCHING = np.ones((3, 3), dtype=np.bool_)  # 8-connectivity

_Pixel = tuple[int, int]
_Path = NDArray[np.intp]


def correct_branch(
    prepared: PreparedImage, probabilities: Values, click: PointPrompt, *, threshold: float
) -> Values:
    """Add the branch between a positive click and the mask, or remove that of a negative click.

    Parameters
    ----------
    prepared
        The image; its field of view sets the scale.
    probabilities
        `(H, W)` float32: the prediction.
    click
        A click inside the field of view.
    threshold
        Probability from which a pixel belongs to the mask.

    Returns
    -------
    `(H, W)` float32, at the clicked pixel on the side of the threshold that was asked for. All
    pixels but those of the branch keep their values.
    """
    window = Window.around((click.x, click.y), _SHARE * prepared.field.diameter, _SIZE)
    change = _added if click.positive else _removed
    changed = change(prepared, probabilities, click, window, threshold)
    level = _CERTAIN if click.positive else -_CERTAIN
    corrected = probabilities.copy()
    corrected[changed] = special.expit(special.logit(threshold) + level)
    return corrected


def find_branch(margins: Values, click: _Pixel) -> tuple[Mask, _Path]:
    """Find the branch between a click and the mask that is there.

    Parameters
    ----------
    margins
        `(h, w)` float32 logits; a pixel of at least 0 belongs to the mask.
    click
        Row and column of a pixel.

    Returns
    -------
    `(h, w)` bool: the branch; and `(N, 2)`, rows and columns of its middle line, from the click to
    the mask. Only the click, where that is in the mask already or nothing else is.
    """
    mask = margins >= 0
    edge = mask & ~ndimage.binary_erosion(mask, _TOUCHING)
    if mask[click] or not edge.any():
        path = np.array([click])
    else:
        from skimage.filters import sato  # slow to import, and only a click needs it

        ridge = sato(margins, sigmas=_RIDGES, black_ridges=False)
        costs = MCP_Geometric(1 / (_FLAT + ridge**2))
        reached, _ = costs.find_costs([click], np.argwhere(edge), find_all_ends=False)
        ends = np.where(edge, reached, np.inf)
        path = np.array(costs.traceback(np.unravel_index(ends.argmin(), ends.shape)))
    return _widened(margins, path), path


def branch_at(mask: Mask, click: _Pixel) -> Mask:
    """Return the branch of a mask on which a click is, up to its forks.

    Parameters
    ----------
    mask
        `(h, w)` bool.
    click
        Row and column of a pixel.

    Returns
    -------
    `(h, w)` bool: the part of the mask; empty where the click is not on the mask. Pixels that
    belong to the width of another branch are not in it.
    """
    if not mask[click]:
        return np.zeros_like(mask)
    labels, _ = ndimage.label(mask, _TOUCHING)
    part: Mask = labels == labels[click]
    depth = ndimage.distance_transform_edt(np.pad(part, 1))[1:-1, 1:-1]
    skeleton = _without_spurs(skeletonize(part), depth)
    forks = ndimage.binary_dilation(_forks(skeleton), _TOUCHING)
    pieces, count = ndimage.label(skeleton & ~forks, _TOUCHING)
    if not count:
        return part
    nearest = ndimage.distance_transform_edt(
        pieces == 0, return_distances=False, return_indices=True
    )
    owner = pieces[tuple(nearest)]
    rest = skeleton & (pieces != owner[click])
    found: Mask = part & (owner == owner[click]) & ~_discs(rest, depth)
    found[click] = True
    return found


def _added(
    prepared: PreparedImage,
    probabilities: Values,
    click: PointPrompt,
    window: Window,
    threshold: float,
) -> Mask:
    """Return the native pixels that a positive click adds."""
    margins = decode_margins(window.cut(encode_margins(probabilities, threshold)))
    found, path = find_branch(margins, (_SIZE // 2, _SIZE // 2))
    pasted = window.paste(found.astype(np.float32), prepared.shape)
    added = np.zeros(prepared.shape, dtype=np.bool_)
    added[pasted.rows, pasted.columns] = pasted.values >= 0.5
    # Thinner than a native pixel it would have gaps.
    points = np.rint(window.to_native(path[:, ::-1].astype(np.float64))).astype(int)
    points = np.vstack([(round(click.x), round(click.y)), points])
    for (x0, y0), (x1, y1) in pairwise(points):
        rows, columns = line(y0, x0, y1, x1)
        inside = (rows >= 0) & (columns >= 0)
        inside &= (rows < added.shape[0]) & (columns < added.shape[1])
        added[rows[inside], columns[inside]] = True
    new: Mask = added & prepared.field.mask & (probabilities < threshold)
    return new


def _removed(
    prepared: PreparedImage,
    probabilities: Values,
    click: PointPrompt,
    window: Window,
    threshold: float,
) -> Mask:
    """Return the native pixels that a negative click removes."""
    top, left = max(0, int(window.top)), max(0, int(window.left))
    part = (
        slice(top, int(window.top + window.height) + 1),
        slice(left, int(window.left + window.width) + 1),
    )
    removed = np.zeros(prepared.shape, dtype=np.bool_)
    at = round(click.y) - top, round(click.x) - left
    removed[part] = branch_at(probabilities[part] >= threshold, at)
    return removed


def _widened(margins: Values, path: _Path) -> Mask:
    """Return what is around a path and nearly as probable as it."""
    middle = np.zeros(margins.shape, dtype=np.bool_)
    middle[tuple(path.T)] = True
    distance, nearest = ndimage.distance_transform_edt(~middle, return_indices=True)
    wide = (distance <= _WIDEST) & (margins >= margins[tuple(nearest)] - _FALL)
    labels, _ = ndimage.label(wide | (distance <= _NARROWEST))
    around: Mask = np.isin(labels, np.unique(labels[middle]))
    return around


def _forks(skeleton: Mask) -> Mask:
    """Return the pixels of a skeleton with at least three neighbours."""
    neighbours = ndimage.convolve(skeleton.astype(np.uint8), _TOUCHING, mode="constant") - 1
    forks: Mask = skeleton & (neighbours >= 3)
    return forks


def _without_spurs(skeleton: Mask, depth: NDArray[np.float64]) -> Mask:
    """Remove the ends of a skeleton that are no longer than the branch they come from is wide."""
    forks = ndimage.binary_dilation(_forks(skeleton), _TOUCHING) & skeleton
    pieces, count = ndimage.label(skeleton & ~forks, _TOUCHING)
    kept = skeleton.copy()
    ends = skeleton & (ndimage.convolve(skeleton.astype(np.uint8), _TOUCHING, mode="constant") == 2)
    for number, place in enumerate(ndimage.find_objects(pieces), start=1):
        around = tuple(slice(max(0, one.start - 2), one.stop + 2) for one in place)
        piece = pieces[around] == number
        touched = ndimage.binary_dilation(piece, _TOUCHING) & forks[around]
        if count > 1 and touched.any() and (ends[around] & piece).any():
            width = 2 * float(depth[around][touched].max())
            if piece.sum() <= _SPUR * width / 2:
                kept[around] &= ~piece
    thin: Mask = skeletonize(kept)
    return thin


def _discs(skeleton: Mask, depth: NDArray[np.float64]) -> Mask:
    """Return the pixels in the discs around a skeleton that are as large as the mask is deep."""
    covered = np.zeros_like(skeleton)
    for radius in np.unique(np.ceil(depth[skeleton])):
        centers = skeleton & (np.ceil(depth) == radius)
        covered |= ndimage.distance_transform_edt(~centers) <= radius
    return covered
