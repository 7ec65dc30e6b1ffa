"""The regions in which an eye is measured as outlines, to be drawn on its image.

They are made of the same geometry, rays and radii as the numbers. What has no number is not drawn,
and of the rest what lies in the field of view.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sam2lora.measurements.anatomy import Disc, Point
from sam2lora.measurements.geometry import EyeGeometry
from sam2lora.measurements.regions import ETDRS_FIELDS, ZONES, etdrs_sector, zone_radii
from sam2lora.measurements.rim import (
    HOURS,
    SECTORS,
    RaySpan,
    RimProfile,
    hour_span,
    narrowest_span,
    sector_span,
)
from sam2lora.types import Mask

Drawing = Literal["rim sectors", "zones B and C", "ETDRS grid"]
BorderPoints = NDArray[np.float64]
"""`(N, 2)` positions (row, column) in native pixels, with pixel centers at integers."""

_STEP = 2  # degrees between points of an arc
_EDGE = 25  # points of a straight border
# How high the labels of the rim are, and how far from the disc's center, in radii of the disc:
# hours around the disc, quarters around the hours, the narrowest place where it overlaps neither.
_HEIGHT, _HOUR = 0.3, 1.2
_QUARTERS = {"superior": 1.65, "inferior": 1.65, "nasal": 2.3, "temporal": 2.3}
_BESIDE, _BEYOND = (2.3, 0.55), 2.2
_GRID_HEIGHT = 0.3  # mm


@dataclass(frozen=True, eq=False)
class RegionBorder:
    """A part of the border of a region.

    Attributes
    ----------
    points
        `(N, 2)` (row, column) in native pixels.
    closed
        Whether the last point is connected with the first one; not where the field of view cuts it.
    """

    points: BorderPoints
    closed: bool


@dataclass(frozen=True, eq=False)
class Region:
    """A region in which something is measured.

    Attributes
    ----------
    name
        The measurement, a key of `DEFINITIONS`.
    label
        A short name to be drawn: I, S, N and T are the quarters of the rim. In the ETDRS grid,
        whose fields are known by their place, it is empty.
    label_at
        Where to draw it, (row, column), clear of the region itself where that is small.
    label_height
        Size of its text in native pixels, at which it does not overlap the other labels.
    borders
        Its borders; a ring has two.
    """

    name: str
    label: str
    label_at: tuple[float, float]
    label_height: float
    borders: tuple[RegionBorder, ...]


def draw_regions(
    geometry: EyeGeometry, values: Mapping[str, object]
) -> dict[Drawing, tuple[Region, ...]]:
    """Return the regions in which an eye was measured, by drawing; without those that are empty.

    Parameters
    ----------
    geometry
        What it was measured by.
    values
        What `measure_geometry` found by it; a region whose value is None was not measured.
    """
    drawings: dict[Drawing, Iterator[Region]] = {
        "rim sectors": chain(_hours(geometry), _quarters(geometry), _narrowest(geometry)),
        "zones B and C": _zones(geometry),
        "ETDRS grid": _grid(geometry),
    }
    drawn = {
        name: tuple(one for one in regions if values[one.name] is not None)
        for name, regions in drawings.items()
    }
    return {name: regions for name, regions in drawn.items() if regions}


def join_sectors(regions: Sequence[Region]) -> BorderPoints:
    """Return one line along the borders of the clock hours, which takes less long to draw.

    Parameters
    ----------
    regions
        The clock hours of a rim, each the neighbour of the next.
    """
    halves = [np.split(region.borders[0].points, 2) for region in regions]
    if not np.allclose(halves[0][0][-1], halves[1][0][0]):  # a left eye: anticlockwise
        halves.reverse()
    outer = [np.concatenate([there, back[:1], there[-1:]]) for there, back in halves]
    inner = [back[::-1] for _, back in halves]
    return np.concatenate([*outer, *inner])


def _quarters(geometry: EyeGeometry) -> Iterator[Region]:
    profile, disc = geometry.rim, geometry.disc
    if profile is None or disc is None or geometry.turned:
        return
    for name in SECTORS:
        span = sector_span(name, geometry.directions)
        if span is not None:
            at = _label_of_rim(disc, span, _QUARTERS[name])
            border = _part_of_rim(profile, span)
            height = _label_height(disc)
            yield Region(f"rim_width_{name}_px", name[0].upper(), at, height, (border,))


def _narrowest(geometry: EyeGeometry) -> Iterator[Region]:
    profile, disc = geometry.rim, geometry.disc
    if profile is None or disc is None:
        return
    span = narrowest_span(profile)
    at, height = _label_of_narrowest(disc, span), _label_height(disc)
    yield Region("rim_disc_ratio", "least", at, height, (_part_of_rim(profile, span),))


def _hours(geometry: EyeGeometry) -> Iterator[Region]:
    profile, disc, eye = geometry.rim, geometry.disc, geometry.directions
    if profile is None or disc is None or eye is None:
        return
    for hour in HOURS:
        span = hour_span(hour, eye)
        at = _label_of_rim(disc, span, _HOUR)
        border, height = _part_of_rim(profile, span), _label_height(disc)
        yield Region(f"rim_width_hour_{hour:02}_px", str(hour), at, height, (border,))


def _part_of_rim(profile: RimProfile, span: RaySpan) -> RegionBorder:
    """Return the outline of the rim between the rays of a span, through the end of each ray."""
    outer, inner = (values[span.rays % 360] for values in (profile.disc, profile.cup))
    there = _around(profile.center, span.rays, outer)
    back = _around(profile.center, span.rays[::-1], inner[::-1])
    return RegionBorder(np.concatenate([there, back]), closed=True)


def _label_of_rim(disc: Disc, span: RaySpan, radii: float) -> tuple[float, float]:
    (at,) = _around(disc.center, np.array([span.middle]), radii * disc.diameter / 2)
    return float(at[0]), float(at[1])


def _label_height(disc: Disc) -> float:
    """Return the height of a label in pixels, which fits the disc."""
    return _HEIGHT * disc.diameter / 2


def _label_of_narrowest(disc: Disc, span: RaySpan) -> tuple[float, float]:
    """Return where the label of the narrowest part of the rim does not cover its quarter's."""
    radius, angle = disc.diameter / 2, np.deg2rad(span.middle)
    x, y = float(np.cos(angle)), float(np.sin(angle))
    if abs(x) >= abs(y):
        x, y = np.copysign(_BESIDE[0], x), np.copysign(_BESIDE[1], y)
    else:
        x, y = _BEYOND * x, np.copysign(_BEYOND, y)
    return float(disc.center[1] + radius * y), float(disc.center[0] + radius * x)


def _zones(geometry: EyeGeometry) -> Iterator[Region]:
    disc = geometry.disc
    if disc is None or "vessel" not in geometry.masks:
        return
    field, seen = geometry.field.mask, 0.0
    for name in ZONES:
        radii = zone_radii(name, disc)
        borders = [
            border for radius in radii for border in _inside(_circle(disc.center, radius), field)
        ]
        # Zones share their inner circle: the label is where the others do not reach.
        middle = (max(seen, radii[0]) + radii[1]) / 2
        at = _label_in_field(disc.center, middle, field, left=geometry.directions == "left")
        seen = radii[1]
        if borders:
            label = f"zone {name.upper()}"
            height = _label_height(disc)
            yield Region(f"vessel_density_zone_{name}", label, at, height, tuple(borders))


def _grid(geometry: EyeGeometry) -> Iterator[Region]:
    fovea, scale, eye = geometry.fovea, geometry.scale, geometry.directions
    if not (fovea and scale and eye and "vessel" in geometry.masks):
        return
    for name in ETDRS_FIELDS:
        inner, outer, middle = etdrs_sector(name, scale.mm_per_px, eye)
        if middle is None:
            points, at = _circle(fovea, outer), np.array([[fovea[1], fovea[0]]])
        else:
            points = _sector(fovea, inner, outer, middle)
            at = _around(fovea, np.array([middle]), (inner + outer) / 2)
        borders = tuple(_inside(points, geometry.field.mask))
        if borders:
            place = (float(at[0, 0]), float(at[0, 1]))
            height = _GRID_HEIGHT / scale.mm_per_px
            yield Region(f"vessel_density_etdrs_{name}", "", place, height, borders)


def _sector(center: Point, inner: float, outer: float, middle: int) -> BorderPoints:
    """Return the outline of a quarter of a ring."""
    first, last = middle - 45, middle + 45
    arc = np.append(np.arange(first, last, _STEP), last)
    radii = np.linspace(inner, outer, _EDGE)[1:-1]
    return np.concatenate(
        [
            _around(center, arc, outer),
            _around(center, np.full(len(radii), last), radii[::-1]),
            _around(center, arc[::-1], inner),
            _around(center, np.full(len(radii), first), radii),
        ]
    )


def _circle(center: Point, radius: float) -> BorderPoints:
    return _around(center, np.arange(0, 360, _STEP), radius)


def _around(
    center: Point, degrees: NDArray[np.int64], radius: float | NDArray[np.float64]
) -> BorderPoints:
    """Return the points (row, column) at directions and distances from a center (x, y)."""
    angle = np.deg2rad(degrees)
    return np.stack(
        [center[1] + radius * np.sin(angle), center[0] + radius * np.cos(angle)], axis=1
    )


def _inside(points: BorderPoints, field: Mask) -> Iterator[RegionBorder]:
    """Yield the parts of a closed outline that lie in the field of view."""
    visible = _visible(points, field)
    if visible.all():
        yield RegionBorder(points, closed=True)
        return
    start = int(visible.argmin())  # outside, so that no part goes past the end
    points, visible = np.roll(points, -start, axis=0), np.roll(visible, -start)
    ends = np.flatnonzero(np.diff(visible, append=False)) + 1
    for first, last in zip(ends[::2], ends[1::2], strict=True):
        if last - first > 1:
            yield RegionBorder(points[first:last], closed=False)


def _visible(points: BorderPoints, field: Mask) -> Mask:
    rows, columns = np.rint(points).astype(np.int64).T
    height, width = field.shape
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    visible: Mask = inside & field[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return visible


def _label_in_field(
    center: Point, radius: float, field: Mask, *, left: bool
) -> tuple[float, float]:
    """Return a place at a distance from a center: above and nasal, or where the field is."""
    degrees = (220, 320, 140, 40) if left else (320, 220, 40, 140)
    around = _around(center, np.array([*degrees, 270, 90, 0, 180]), radius)
    place = around[int(_visible(around, field).argmax())]
    return float(place[0]), float(place[1])
