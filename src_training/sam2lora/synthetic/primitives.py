"""Smooth random textures of a stated grain."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

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


Floats = NDArray[np.float64]

STEP_MM = 0.07
"""Distance between neighboring points of a vessel."""


def resample(points: Floats) -> Floats:
    """Lay a smooth curve through `points` and give it at steps of `STEP_MM`."""
    chords = np.sqrt((np.diff(points, axis=0) ** 2).sum(axis=1))
    knots = np.concatenate([[0.0], np.cumsum(chords)])
    curve = CubicSpline(knots, points, bc_type="natural")
    at = np.arange(0.0, knots[-1], STEP_MM)
    path: Floats = np.round(curve(at), 6)
    return path


def wind(
    rng: np.random.Generator,
    path: Floats,
    waves: tuple[tuple[float, float], ...],
    winding: float,
    *,
    sway: float = 0.0,
) -> Floats:
    """Displace a path sideways by `winding` times the waves and by `sway`, both in mm.

    It still leaves its start in the same direction, and without sway ends at the same place.
    """
    along = STEP_MM * np.arange(len(path))
    aside = np.full(len(path), sway)
    for length, amount in waves:
        grain = length * rng.uniform(0.7, 1.4)
        phase = along / grain + rng.random()
        aside += winding * amount * rng.uniform(0.2, 1.0) * np.sin(2 * np.pi * phase)
    start = np.minimum(along / 0.8, 1.0)
    end = np.minimum((along[-1] - along) / 0.4, 1.0) if sway == 0 else 1.0
    tangent = np.gradient(path, axis=0)
    tangent /= np.maximum(np.sqrt((tangent**2).sum(axis=1, keepdims=True)), 1e-9)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    moved: Floats = np.round(path + (aside * start * start * end)[:, None] * normal, 6)
    return moved
