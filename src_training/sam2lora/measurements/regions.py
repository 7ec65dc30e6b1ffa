"""Regions in which vessels are measured: zones around the disc, and the grid around the fovea."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sam2lora.measurements.anatomy import Disc, Point
from sam2lora.types import Eye, Mask

ZONES: Mapping[str, tuple[float, float]] = {"b": (1.0, 1.5), "c": (1.0, 2.5)}
"""Inner and outer radius in disc diameters from the disc's center.

Zone B is from half a disc diameter off the disc's margin to one (Hubbard et al., Ophthalmology
106:2269, 1999), zone C from half a diameter to two (Cheung et al., Ophthalmology 118:812, 2011).
"""

ETDRS_RADII = (0.5, 1.5, 3.0)
"""Radii of the grid's circles in millimetres (ETDRS Report 10, Ophthalmology 98:786, 1991)."""

ETDRS_FIELDS = (
    "center",
    *(f"{ring}_{side}" for ring in ("inner", "outer") for side in ("superior", "inferior")),
    *(f"{ring}_{side}" for ring in ("inner", "outer") for side in ("nasal", "temporal")),
)
"""Names of the grid's nine fields; in a map of the grid, each has its place here plus 1."""

_LEAST = 0.5  # of a region that has to be in the field of view for a value


def zone_radii(name: str, disc: Disc) -> tuple[float, float]:
    """Return the inner and the outer radius of a zone in pixels."""
    inner, outer = ZONES[name]
    return inner * disc.diameter, outer * disc.diameter


def zone(name: str, disc: Disc, shape: tuple[int, int]) -> Mask:
    """Return a zone around the disc, `(H, W)` bool.

    Parameters
    ----------
    name
        Key of `ZONES`.
    disc
        The disc.
    shape
        (H, W) of the image.
    """
    inner, outer = zone_radii(name, disc)
    distance = _distance(disc.center, shape)
    ring: Mask = (distance >= inner) & (distance < outer)
    return ring


def etdrs_sector(name: str, mm_per_px: float, eye: Eye) -> tuple[float, float, int | None]:
    """Return the borders of one of the `ETDRS_FIELDS`.

    Returns
    -------
    Its inner and outer radius in pixels, and the direction of its middle in the image in degrees, 0
    being right and 90 down, to either side of which it reaches 45; None for the whole circle.
    """
    ring, _, side = name.partition("_")
    number = ("center", "inner", "outer").index(ring)
    inner, outer = ((0.0, *ETDRS_RADII)[number + step] / mm_per_px for step in (0, 1))
    nasal = 0 if eye == "right" else 180
    middles = {"superior": 270, "inferior": 90, "nasal": nasal, "temporal": 180 - nasal}
    return inner, outer, middles.get(side)


def etdrs_grid(
    fovea: Point, mm_per_px: float, eye: Eye, shape: tuple[int, int]
) -> NDArray[np.uint8]:
    """Return the map of the ETDRS grid, `(H, W)` uint8: 0 outside it, else a number of a field.

    Parameters
    ----------
    fovea
        Its center, (x, y) in native pixels.
    mm_per_px
        Millimetres per pixel.
    eye
        Which side is nasal: the right of the image in a right eye.
    shape
        (H, W) of the image.
    """
    y, x = np.ogrid[: shape[0], : shape[1]]
    down, right = y - fovea[1], x - fovea[0]
    nasal = right if eye == "right" else -right
    vertical = np.abs(down) > np.abs(right)
    sides = {
        "superior": vertical & (down < 0),
        "inferior": vertical & (down > 0),
        "nasal": ~vertical & (nasal >= 0),
        "temporal": ~vertical & (nasal < 0),
    }
    distance = _distance(fovea, shape) * mm_per_px
    center, inner, outer = ETDRS_RADII
    rings = {
        "inner": (distance >= center) & (distance < inner),
        "outer": (distance >= inner) & (distance < outer),
    }
    grid = np.zeros(shape, np.uint8)
    for number, name in enumerate(ETDRS_FIELDS, start=1):
        ring, _, side = name.partition("_")
        grid[distance < center if name == "center" else rings[ring] & sides[side]] = number
    return grid


def zone_area(name: str, disc: Disc) -> float:
    """Return the area of a whole zone in pixels, with what lies outside the image."""
    inner, outer = zone_radii(name, disc)
    return math.pi * (outer**2 - inner**2)


def etdrs_area(name: str, mm_per_px: float) -> float:
    """Return the area of a whole field of the grid in pixels, with what lies outside the image."""
    center, inner, outer = (math.pi * (radius / mm_per_px) ** 2 for radius in ETDRS_RADII)
    if name == "center":
        return center
    return ((inner - center) if name.startswith("inner") else (outer - inner)) / 4


def density(vessel: Mask, visible: Mask, area: float) -> float | None:
    """Return the share of a region that is vessel.

    Parameters
    ----------
    vessel
        `(H, W)` bool.
    visible
        `(H, W)` bool: the region inside the field of view.
    area
        Area of the whole region in pixels.

    Returns
    -------
    0…1; None if less than half of the region is visible.
    """
    pixels = int(np.count_nonzero(visible))
    if pixels == 0 or pixels < _LEAST * area:
        return None
    return int(np.count_nonzero(vessel & visible)) / pixels


def _distance(center: Point, shape: tuple[int, int]) -> NDArray[np.float64]:
    y, x = np.ogrid[: shape[0], : shape[1]]
    distance: NDArray[np.float64] = np.hypot(x - center[0], y - center[1])
    return distance
