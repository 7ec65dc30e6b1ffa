"""Smooth curves in the plane, as points at equal steps."""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

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
