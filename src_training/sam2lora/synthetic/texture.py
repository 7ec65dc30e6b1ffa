"""Smooth random textures of a stated grain."""

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Plane:
    """Draw smooth noise of mean 0 and variance near 1.

    A grid of independent normal values is interpolated by cubic B-splines.

    Parameters
    ----------
    shape
        Height and width in pixels.
    grain
        Distance between the grid's values in pixels.

    Returns
    -------
    `(H, W)` float32.
    """
    cells = [int(np.ceil(max(shape) / grain)) + 3] * 2
    values = rng.standard_normal(cells, dtype=np.float32)
    # A cubic B-spline's weights have mean square 0.479 along each axis.
    return _stretch(_stretch(values, shape[0], grain).T, shape[1], grain).T / np.float32(0.479)


def _stretch(values: Plane, length: int, grain: float) -> Plane:
    """Interpolate the first axis of `values` to `length` places."""
    at = np.arange(length) / grain
    cell = np.floor(at).astype(np.intp)
    t = (at - cell).astype(np.float32)[:, None]
    rest = 1 - t
    weights = (
        rest * rest * rest / 6,
        (3 * t * t * t - 6 * t * t + 4) / 6,
        (3 * rest * rest * rest - 6 * rest * rest + 4) / 6,
        t * t * t / 6,
    )
    total: Plane = weights[0].astype(np.float32, copy=False) * values[cell]
    for shift in (1, 2, 3):
        total += weights[shift] * values[cell + shift]
    return total
