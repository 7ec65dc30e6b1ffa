"""The regions in which an eye is measured as outlines, to be drawn on its image.

They are made of the same geometry, rays and radii as the numbers, and only what lies in the field
of view is measured and drawn.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sam2lora.measurements.anatomy import Disc, Point
from sam2lora.measurements.definitions import DEFINITIONS, Unit
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

Drawing = Literal["rim quarters", "clock hours", "zones B and C", "ETDRS grid"]
BorderPoints = NDArray[np.float64]
"""`(N, 2)` positions (row, column) in native pixels, with pixel centers at integers."""

_STEP = 2  # degrees between points of an arc
_EDGE = 33  # points of a straight border
_LABELS = {"clock hours": 1.15, "rim quarters": 1.5, "narrowest": 1.85}  # in radii of the disc


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
        A short name to be drawn.
    label_at
        Where to draw it, (row, column), clear of the region itself where that is small.
    borders
        Its borders; a ring has two.
    """

    name: str
    label: str
    label_at: tuple[float, float]
    borders: tuple[RegionBorder, ...]

    @property
    def unit(self) -> Unit:
        """Unit of the measurement."""
        return DEFINITIONS[self.name].unit


def draw_regions(geometry: EyeGeometry) -> dict[Drawing, tuple[Region, ...]]:
    """Return the regions in which an eye is measured, by drawing; without those that are empty."""
    drawings: dict[Drawing, Iterator[Region]] = {
        "rim quarters": _quarters(geometry),
        "clock hours": _hours(geometry),
        "zones B and C": _zones(geometry),
        "ETDRS grid": _grid(geometry),
    }
    drawn = {name: tuple(regions) for name, regions in drawings.items()}
    return {name: regions for name, regions in drawn.items() if regions}


def _quarters(geometry: EyeGeometry) -> Iterator[Region]:
    profile, disc = geometry.rim, geometry.disc
    if profile is None or disc is None:
        return
    if not geometry.turned:
        for name in SECTORS:
            span = sector_span(name, geometry.directions)
            if span is not None:
                at = _label_of_rim(disc, span, "rim quarters")
                border = _part_of_rim(profile, span)
                yield Region(f"rim_width_{name}_px", name, at, (border,))
    span = narrowest_span(profile)
    at = _label_of_rim(disc, span, "narrowest")
    yield Region("rim_disc_ratio", "narrowest", at, (_part_of_rim(profile, span),))


def _hours(geometry: EyeGeometry) -> Iterator[Region]:
    profile, disc, eye = geometry.rim, geometry.disc, geometry.directions
    if profile is None or disc is None or eye is None:
        return
    for hour in HOURS:
        span = hour_span(hour, eye)
        at = _label_of_rim(disc, span, "clock hours")
        border = _part_of_rim(profile, span)
        yield Region(f"rim_width_hour_{hour:02}_px", str(hour), at, (border,))


def _part_of_rim(profile: RimProfile, span: RaySpan) -> RegionBorder:
    """Return the outline of the rim between the rays of a span, through the end of each ray."""
    outer, inner = (values[span.rays % 360] for values in (profile.disc, profile.cup))
    there = _around(profile.center, span.rays, outer)
    back = _around(profile.center, span.rays[::-1], inner[::-1])
    return RegionBorder(np.concatenate([there, back]), closed=True)


def _label_of_rim(disc: Disc, span: RaySpan, kind: str) -> tuple[float, float]:
    (at,) = _around(disc.center, np.array([span.middle]), _LABELS[kind] * disc.diameter / 2)
    return float(at[0]), float(at[1])


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
        at = _label_in_field(disc.center, (max(seen, radii[0]) + radii[1]) / 2, field)
        seen = radii[1]
        if borders:
            label = f"zone {name.upper()}"
            yield Region(f"vessel_density_zone_{name}", label, at, tuple(borders))


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
            label = name.replace("_", " ")
            place = (float(at[0, 0]), float(at[0, 1]))
            yield Region(f"vessel_density_etdrs_{name}", label, place, borders)


def _sector(center: Point, inner: float, outer: float, middle: int) -> BorderPoints:
    """Return the outline of a quarter of a ring."""
    first, last = middle - 45, middle + 45
    arc = np.arange(first, last + 1, _STEP // 2)
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


def _label_in_field(center: Point, radius: float, field: Mask) -> tuple[float, float]:
    """Return the place above a center at a distance from it, or else the next one in the field."""
    around = _around(center, np.array([270, 90, 0, 180, 315, 225, 45, 135]), radius)
    place = around[int(_visible(around, field).argmax())]
    return float(place[0]), float(place[1])
