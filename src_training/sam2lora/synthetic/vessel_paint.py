"""Rasterise vessel trees: the vessel pixels, the optical depth of the blood, and the light reflex.

Every segment is a tapered bar with round ends. All pixels near all segments are processed in one
array rather than segment by segment. Pixels are computed by additions, products, quotients and
square roots only, which every processor rounds alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2lora.synthetic.primitives import Floats

PAIRS_AT_ONCE = 1_000_000
THINNEST_RADIUS = 0.55
"""Radius in pixels below which a vessel is drawn paler instead of thinner, to avoid gaps."""
FAINTEST_RADIUS = 0.2
"""True radius in pixels below which a vessel is not drawn."""


@dataclass(frozen=True, eq=False)
class Bars:
    """Segments on the pixel grid: ends `(N, 2)` as (x, y), radii `(N,)` and blood depth `(N,)`."""

    start: Floats
    end: Floats
    start_radius: Floats
    end_radius: Floats
    depth: Floats


@dataclass(frozen=True, eq=False)
class Painted:
    """Rasterised vessels or lesions, all `(H, W)`.

    Attributes
    ----------
    inside
        Pixels whose center is in a bar.
    depth
        Optical depth: that of the bar at its axis, decreasing to 0 at its wall.
    reflex
        Light streak along the middle of wide vessels, 0 to 1.
    """

    inside: NDArray[np.bool_]
    depth: NDArray[np.float32]
    reflex: NDArray[np.float32]


def paint_bars(bars: Bars, shape: tuple[int, int]) -> Painted:
    """Rasterise `bars` in an image of `shape` (H, W); parts outside it are clipped."""
    inside = np.zeros(shape, dtype=bool)
    depth = np.zeros(shape, dtype=np.float32)
    reflex = np.zeros(shape, dtype=np.float32)
    low, high = _boxes(bars, shape)
    sides = np.maximum(high - low + 1, 0)
    pixels = sides[:, 0] * sides[:, 1]
    for part in _parts(pixels):
        row, column, bar = _pairs(part, low, sides, pixels)
        distance, radius, bar, at = _near_pixels(bars, row, column, bar, shape[1])
        inside.ravel()[at[distance <= radius]] = True
        across = distance / (radius + np.float32(0.4))
        chord = np.sqrt(np.maximum(1 - across * across, 0))
        np.maximum.at(depth.ravel(), at, chord * bars.depth.astype(np.float32)[bar])
        streak = distance / (np.float32(0.35) * radius)
        shine = np.maximum(1 - streak * streak, 0) * np.clip((radius - 1) / 3, 0, 1)
        np.maximum.at(reflex.ravel(), at, shine)
    return Painted(inside, depth, reflex)


def _boxes(bars: Bars, shape: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and last (x, y) pixel that each bar can touch, clipped to the image."""
    reach = np.maximum(bars.start_radius, bars.end_radius)[:, None] + 0.5
    low = np.ceil(np.minimum(bars.start, bars.end) - reach).astype(np.intp)
    high = np.floor(np.maximum(bars.start, bars.end) + reach).astype(np.intp)
    last = np.asarray([shape[1] - 1, shape[0] - 1])
    return np.maximum(low, 0), np.minimum(high, last)


def _parts(pixels: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Divide the bars that touch the image into runs of about `PAIRS_AT_ONCE` pixels."""
    touching = np.flatnonzero(pixels)
    run = np.cumsum(pixels[touching]) // PAIRS_AT_ONCE
    cuts = np.flatnonzero(np.diff(run)) + 1
    return [part for part in np.split(touching, cuts) if len(part)]


def _pairs(
    part: NDArray[np.intp],
    low: NDArray[np.intp],
    sides: NDArray[np.intp],
    pixels: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """List every pixel of every box in `part`: row, column and number of the bar."""
    count = pixels[part]
    bar = np.repeat(part, count)
    first = np.repeat(np.cumsum(count) - count, count)
    within = np.arange(len(bar)) - first
    width = sides[bar, 0]
    row = within // width
    return row + low[bar, 1], within - row * width + low[bar, 0], bar


def _near_pixels(
    bars: Bars,
    row: NDArray[np.intp],
    column: NDArray[np.intp],
    bar: NDArray[np.intp],
    width: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs up to half a pixel beyond the wall: axis distance, radius, bar, pixel."""
    span = (bars.end - bars.start).astype(np.float32)
    norm = np.maximum(span[:, 0] ** 2 + span[:, 1] ** 2, np.float32(1e-9))
    dx = (column - bars.start[bar, 0]).astype(np.float32)
    dy = (row - bars.start[bar, 1]).astype(np.float32)
    along = np.clip((dx * span[bar, 0] + dy * span[bar, 1]) / norm[bar], 0, 1)
    dx -= along * span[bar, 0]
    dy -= along * span[bar, 1]
    widening = (bars.end_radius - bars.start_radius).astype(np.float32)
    radius = bars.start_radius.astype(np.float32)[bar] + along * widening[bar]
    square = dx * dx + dy * dy
    near = square < (radius + np.float32(0.4)) ** 2
    at = row[near] * width + column[near]
    return np.sqrt(square[near]), radius[near], bar[near], at
