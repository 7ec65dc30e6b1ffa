"""Smooth random textures of a given grain size, and smooth curves."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

Plane = NDArray[np.float32]
Color = NDArray[np.float32]
Floats = NDArray[np.float64]


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain: float) -> Plane:
    """Sample smooth noise of mean 0 and variance near 1.

    A grid of independent normal values is interpolated by cubic B-splines.

    Parameters
    ----------
    rng
        Source of the noise.
    shape
        Height and width in pixels.
    grain
        Spacing of the grid in pixels.

    Returns
    -------
    `(H, W)` float32.
    """
    cells = [int(np.ceil(max(shape) / grain)) + 3] * 2
    values = rng.standard_normal(cells, dtype=np.float32)
    # The weights of a cubic B-spline have mean square 0.479 along each axis.
    return _stretch(_stretch(values, shape[0], grain).T, shape[1], grain).T / np.float32(0.479)


def _stretch(values: Plane, length: int, grain: float) -> Plane:
    """Interpolate the first axis of `values` at `length` positions."""
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


STEP_MM = 0.07
"""Distance between adjacent points of a vessel."""


def resample(points: Floats) -> Floats:
    """Return points at steps of `STEP_MM` on a smooth curve through `points`."""
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

    The path keeps its initial direction and, without sway, its end point.
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
