"""Lesions of diabetic retinopathy and macular degeneration, as spots and short strokes in mm.

Sizes follow the common grading atlases: microaneurysms are below 0.125 mm, the width of a vein at
the disc; blots reach 0.6 mm; drusen lie around the fovea; hard exudates come in clusters.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from sam2lora.synthetic.primitives import Floats

NEAREST_TO_DISC_MM = 1.4
"""Smallest distance of a lesion from the disc center."""


@dataclass(frozen=True, eq=False)
class Spots:
    """Strokes with round ends: both ends `(N, 2)` and radius `(N,)` in mm, strength `(N,)`."""

    start: Floats
    end: Floats
    radius: Floats
    strength: Floats


Sampler = Callable[[np.random.Generator, Floats, float, Floats], Spots]


def sample_lesions(
    rng: np.random.Generator,
    center: tuple[float, float],
    reach: float,
    fovea: tuple[float, float],
    *,
    present: bool,
) -> tuple[Spots, Spots]:
    """Sample dark and bright lesions within about `reach` mm of `center`, or none.

    Of eyes with lesions, 60 % are diabetic and have both kinds; the others have only drusen.
    """
    dark: list[Sampler] = []
    bright: list[Sampler] = []
    if present and rng.random() < 0.6:
        dark = [_microaneurysms, _blots, _flames]
        bright = [_exudates, _cotton_wool]
    elif present:
        bright = [_drusen]
    region = (np.asarray(center), reach, np.asarray(fovea))
    return _collect([sample(rng, *region) for sample in dark]), _collect(
        [sample(rng, *region) for sample in bright]
    )


def _collect(groups: list[Spots]) -> Spots:
    """Concatenate groups of spots, without those on the disc."""
    empty = Spots(np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0), np.zeros(0))
    groups = [empty, *groups]
    start = np.concatenate([group.start for group in groups])
    keep = np.sqrt((start**2).sum(axis=1)) > NEAREST_TO_DISC_MM
    return Spots(
        start[keep],
        np.concatenate([group.end for group in groups])[keep],
        np.concatenate([group.radius for group in groups])[keep],
        np.concatenate([group.strength for group in groups])[keep],
    )


def _dots(points: Floats, radius: Floats, strength: Floats) -> Spots:
    return Spots(points, points, radius, strength)


def _clusters(
    rng: np.random.Generator, middles: Floats, spread: tuple[float, float], each: tuple[int, int]
) -> Floats:
    """Scatter between `each[0]` and `each[1]` points around every middle."""
    groups = [
        middle + rng.uniform(*spread) * rng.standard_normal((int(rng.integers(*each)), 2))
        for middle in middles
    ]
    return np.concatenate(groups)


def _anywhere(rng: np.random.Generator, count: int, center: Floats, reach: float) -> Floats:
    points: Floats = center + 0.6 * reach * np.clip(rng.standard_normal((count, 2)), -1.5, 1.5)
    return points


def _microaneurysms(rng: np.random.Generator, center: Floats, reach: float, fovea: Floats) -> Spots:
    count = int(rng.integers(10, 60))
    radius = rng.uniform(0.015, 0.045, count)
    return _dots(_anywhere(rng, count, center, reach), radius, rng.uniform(0.5, 1.0, count))


def _blots(rng: np.random.Generator, center: Floats, reach: float, fovea: Floats) -> Spots:
    middles = _anywhere(rng, int(rng.integers(3, 15)), center, reach)
    points = _clusters(rng, middles, (0.02, 0.10), (2, 9))
    count = len(points)
    wide = rng.random(count)
    return _dots(points, 0.025 + 0.10 * wide * wide, rng.uniform(0.6, 1.2, count))


def _flames(rng: np.random.Generator, center: Floats, reach: float, fovea: Floats) -> Spots:
    """Sample flame hemorrhages: strokes along the nerve fibers, which run away from the disc."""
    middles = _anywhere(rng, int(rng.integers(1, 5)), center, 0.7 * reach)
    points = _clusters(rng, middles, (0.025, 0.06), (8, 20))
    count = len(points)
    outwards = points / np.sqrt((points**2).sum(axis=1, keepdims=True))
    ends = points + outwards * rng.uniform(0.05, 0.3, (count, 1))
    return Spots(points, ends, rng.uniform(0.015, 0.035, count), rng.uniform(0.4, 1.0, count))


def _exudates(rng: np.random.Generator, center: Floats, reach: float, fovea: Floats) -> Spots:
    """Sample hard exudates in clusters of clusters: dots, and plaques where they touch."""
    middles = fovea + 1.2 * rng.standard_normal((int(rng.integers(1, 6)), 2))
    groups = _clusters(rng, middles, (0.15, 0.5), (3, 12))
    points = _clusters(rng, groups, (0.02, 0.07), (1, 8))
    count = len(points)
    wide = rng.random(count)
    return _dots(points, 0.012 + 0.05 * wide * wide, rng.uniform(0.65, 1.1, count))


def _cotton_wool(rng: np.random.Generator, center: Floats, reach: float, fovea: Floats) -> Spots:
    middles = rng.uniform(1.5, 3.5) * rng.uniform(-1, 1, (int(rng.integers(1, 4)), 2))
    points = _clusters(rng, middles, (0.06, 0.12), (4, 9))
    count = len(points)
    return _dots(points, rng.uniform(0.10, 0.20, count), rng.uniform(0.35, 0.6, count))


def _drusen(rng: np.random.Generator, center: Floats, reach: float, fovea: Floats) -> Spots:
    count = int(rng.integers(25, 110))
    points = fovea + rng.uniform(0.8, 1.6) * rng.standard_normal((count, 2))
    return _dots(points, rng.uniform(0.02, 0.07, count), rng.uniform(0.45, 0.75, count))
