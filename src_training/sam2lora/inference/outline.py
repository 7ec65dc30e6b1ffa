"""A smooth outline around a compact target that stray parts cannot stretch.

From the target's middle, each ray ends where the probabilities before it speak most for the target
and those behind it least, so that holes and dents do not matter. Through the ends runs a closed
curve with few parameters, nearly an ellipse; ends far from it, such as those along a bright vessel
or an atrophy beside the disc, have little weight.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.transforms.windows import Values
from sam2lora.types import Mask

_RAYS = 72
_STEP = 0.5  # pixels along a ray
_HARMONICS = 2  # of the radius as a function of the angle; 2: nearly an ellipse
_CORE = 0.35  # of the largest depth: narrower parts do not move the middle
_SCALE = 0.04  # of the median radius: distance from the curve that halves the weight
_ROUNDS = 8
_BEYOND = 2.0  # pixels behind a ray's end that have to be visible
_LEAST_SEEN = 0.5  # of the rays whose end is not at the edge of what is visible
_LEAST = 16  # pixels: fewer have no shape

Positions = NDArray[np.float64]


def smooth_outline(component: Mask, probabilities: Values, level: float, *, valid: Mask) -> Mask:
    """Return the inside of a smooth outline around a component.

    Parameters
    ----------
    component
        `(n, n)` bool: the pixels of the target above a probability, one component.
    probabilities
        `(n, n)` float32 in 0…1.
    level
        That probability.
    valid
        `(n, n)` bool: the field of view. A ray that ends at its edge, or at that of the array, says
        nothing about the outline.

    Returns
    -------
    `(n, n)` bool: a star-shaped area. The component itself if it has few pixels, or most of its
    border is not visible.
    """
    if np.count_nonzero(component) < _LEAST:
        return component
    middle = _middle(component)
    angles = np.linspace(0, 2 * np.pi, _RAYS, endpoint=False)
    reach = np.arange(_STEP / 2, np.hypot(*component.shape), _STEP)
    rays = [
        start + direction[:, None] * reach
        for start, direction in zip(middle, (np.sin(angles), np.cos(angles)), strict=True)
    ]
    # As much can speak for the target as against it, whatever the level.
    vote = ((probabilities - level) / min(level, 1 - level)).clip(-1, 1)
    vote[~component & (vote > 0)] = 0  # another part
    along = ndimage.map_coordinates(vote, rays, order=1, cval=-1)
    ends = np.cumsum(along * reach, axis=1).argmax(axis=1)
    behind = (ends + round(_BEYOND / _STEP)).clip(max=len(reach) - 1)
    visible = ndimage.map_coordinates(valid.astype(np.float32), rays, order=0, cval=0)
    seen = np.take_along_axis(visible, behind[:, None], axis=1)[:, 0] > 0
    if seen.mean() < _LEAST_SEEN:
        return component
    curve = _fit(angles, (reach[ends] + _STEP / 2).astype(np.float64), seen)
    rows, columns = np.ogrid[: component.shape[0], : component.shape[1]]
    down, right = rows - middle[0], columns - middle[1]
    inside: Mask = np.hypot(down, right) <= _basis(np.arctan2(down, right)) @ curve
    return inside if inside.any() else component


def _middle(component: Mask) -> tuple[float, float]:
    """Return the center (row, column) of a component without its narrow parts."""
    depth = ndimage.distance_transform_edt(np.pad(component, 1))[1:-1, 1:-1]
    rows, columns = np.nonzero(depth > _CORE * depth.max())
    center = float(rows.mean()), float(columns.mean())
    if component[round(center[0]), round(center[1])]:
        return center
    row, column = np.unravel_index(depth.argmax(), depth.shape)
    return float(row), float(column)


def _basis(angles: Positions) -> Positions:
    """Return the values of 1, cos, sin, cos 2 and so on at angles `(…)`, `(…, 1 + 2 harmonics)`."""
    waves = [
        function(number * angles)
        for number in range(1, _HARMONICS + 1)
        for function in (np.cos, np.sin)
    ]
    return np.stack([np.ones_like(angles), *waves], axis=-1)


def _fit(angles: Positions, radii: Positions, seen: Mask) -> Positions:
    """Fit the curve to radii, with less weight for those that are far from it."""
    basis, scale = _basis(angles), _SCALE * float(np.median(radii[seen]))
    weights = seen.astype(np.float64)
    curve: Positions = np.zeros(basis.shape[-1])
    for _ in range(_ROUNDS):
        weighted = basis * weights[:, None]
        curve = np.linalg.lstsq(weighted.T @ basis, weighted.T @ radii, rcond=1e-9)[0].astype(float)
        weights = seen / (1 + ((radii - basis @ curve) / scale) ** 2)
    return curve
