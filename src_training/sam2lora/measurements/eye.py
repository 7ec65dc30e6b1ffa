"""Measure the masks of one eye: every number of `definitions`, as far as it can be known."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements import rim
from sam2lora.measurements.anatomy import Disc, Point, Scale, disc_of, scale_of, side_of
from sam2lora.measurements.definitions import DEFINITIONS
from sam2lora.measurements.regions import (
    ETDRS_FIELDS,
    ZONES,
    density,
    etdrs_area,
    etdrs_grid,
    zone,
    zone_area,
)
from sam2lora.measurements.skeleton import (
    Skeleton,
    mean_tortuosity,
    median_tortuosity,
    shortest_segment,
)
from sam2lora.measurements.structures import Measurements, measure
from sam2lora.types import Eye, Mask, Spacing

MeasuredValue = float | int | bool | None

_OUTSIDE = 0.02  # of the cup's area that may lie outside the disc without a warning
_SQUARE = 0.01  # by which a pixel's sides may differ without a warning


@dataclass(frozen=True)
class EyeMeasurements:
    """What was measured in one eye.

    Attributes
    ----------
    values
        A value for each name in `DEFINITIONS`; None where something that it needs is missing.
    eye
        The side of the eye, as given, or else as disc and fovea show it.
    scale
        The size of a pixel by which millimetres were computed; None without any.
    warnings
        Sentences about what makes values doubtful.
    """

    values: Mapping[str, MeasuredValue]
    eye: Eye | None
    scale: Scale | None
    warnings: tuple[str, ...]


def measure_eye(
    masks: Mapping[str, Mask],
    field: FieldOfView,
    *,
    spacing: Spacing | None = None,
    eye: Eye | None = None,
    fovea: Point | None = None,
) -> EyeMeasurements:
    """Measure the masks of one eye, inside its field of view.

    Parameters
    ----------
    masks
        Target name to mask, `(H, W)` bool. `disc`, `cup` and `vessel` are measured.
    field
        The field of view of the same image.
    spacing
        Millimetres per pixel (row, column), where the file gives it.
    eye
        The side of the eye; None takes what disc and fovea show.
    fovea
        Its center, (x, y) in native pixels, where known.

    Raises
    ------
    GeometryError
        If a mask differs in size from the field of view.
    """
    short = measure(masks, field, spacing=spacing)
    inside = {name: mask & field.mask for name, mask in masks.items()}
    disc = disc_of(inside["disc"]) if "disc" in inside else None
    shown = side_of(disc.center, fovea) if disc and fovea else None
    scale = scale_of(spacing, disc.center if disc else None, fovea)
    side = eye or shown
    pixels: dict[str, MeasuredValue] = dict(_of_structures(short))
    if disc and "cup" in inside:
        pixels |= _of_rim(inside["disc"], inside["cup"], side)
    if disc and fovea:
        pixels["disc_fovea_distance_px"] = math.dist(disc.center, fovea)
    if disc:
        pixels |= _of_zones(inside.get("vessel"), disc, field.mask)
    if "vessel" in inside:
        pixels |= _of_vessels(inside["vessel"], field)
        if fovea and scale and side:
            pixels |= _of_grid(inside["vessel"], field.mask, fovea, scale, side)
    values = {name: _value(name, pixels, scale) for name in DEFINITIONS}
    doubts = (*_doubts(inside, disc, field), *_conflicts(eye, shown, spacing))
    return EyeMeasurements(values, side, scale, doubts)


def _value(name: str, pixels: Mapping[str, MeasuredValue], scale: Scale | None) -> MeasuredValue:
    """Return a value as measured in pixels, or converted from them."""
    unit = DEFINITIONS[name].unit
    if unit not in ("mm", "mm²"):
        return pixels.get(name)
    measured = pixels.get(name.removesuffix("mm2" if unit == "mm²" else "mm") + "px")
    if measured is None or scale is None:
        return None
    return measured * scale.mm_per_px ** (2 if unit == "mm²" else 1)


def _of_structures(short: Measurements) -> Iterator[tuple[str, MeasuredValue]]:
    for name in ("disc", "cup"):
        extent = short.structures.get(name)
        if extent is not None:
            yield f"{name}_area_px", extent.area_px
            yield f"{name}_height_px", extent.vertical_px
            yield f"{name}_width_px", extent.horizontal_px
    disc, cup = (short.structures.get(name) for name in ("disc", "cup"))
    if disc and cup and disc.horizontal_px:
        yield "horizontal_cup_disc_ratio", cup.horizontal_px / disc.horizontal_px
    yield "vertical_cup_disc_ratio", short.vertical_cup_disc_ratio
    yield "area_cup_disc_ratio", short.area_cup_disc_ratio
    yield "vessel_density", short.vessel_density


def _of_rim(disc: Mask, cup: Mask, eye: Eye | None) -> dict[str, MeasuredValue]:
    profile = rim.rim_profile(disc, cup)
    if profile is None:
        return {}
    ratio, place = rim.narrowest(profile)
    sectors = rim.sector_widths(profile, eye)
    found: dict[str, MeasuredValue] = {
        "rim_disc_ratio": ratio,
        "ddls_stage": rim.ddls_stage(profile),
        "isnt_rule": rim.follows_isnt(sectors),
    }
    found |= {f"rim_width_{name}_px": width for name, width in sectors.items()}
    if eye is not None:
        hours = rim.hour_widths(profile, eye)
        found |= {f"rim_width_hour_{hour:02}_px": width for hour, width in hours.items()}
        found["rim_narrowest_hour"] = rim.hour_of(place, eye)
    return found


def _of_zones(vessel: Mask | None, disc: Disc, field: Mask) -> dict[str, MeasuredValue]:
    found: dict[str, MeasuredValue] = {}
    for name in ZONES:
        visible = zone(name, disc, field.shape) & field
        area = zone_area(name, disc)
        found[f"zone_{name}_visible"] = min(1.0, int(np.count_nonzero(visible)) / area)
        if vessel is not None:
            found[f"vessel_density_zone_{name}"] = density(vessel, visible, area)
    return found


def _of_vessels(vessel: Mask, field: FieldOfView) -> dict[str, MeasuredValue]:
    skeleton = Skeleton(vessel)
    segments = skeleton.segments(shortest_segment(field.diameter))
    return {
        "vessel_skeleton_length_px": skeleton.length,
        "vessel_branch_points": skeleton.branch_points,
        "vessel_fractal_dimension": skeleton.fractal_dimension(field.diameter),
        "vessel_segments": len(segments),
        "vessel_tortuosity_mean": mean_tortuosity(segments),
        "vessel_tortuosity_median": median_tortuosity(segments),
    }


def _of_grid(
    vessel: Mask, field: Mask, fovea: Point, scale: Scale, eye: Eye
) -> Iterator[tuple[str, MeasuredValue]]:
    grid = etdrs_grid(fovea, scale.mm_per_px, eye, field.shape)
    for number, name in enumerate(ETDRS_FIELDS, start=1):
        visible = (grid == number) & field
        area = etdrs_area(name, scale.mm_per_px)
        yield f"vessel_density_etdrs_{name}", density(vessel, visible, area)


def _doubts(masks: Mapping[str, Mask], disc: Disc | None, field: FieldOfView) -> Iterator[str]:
    """Yield what is doubtful about the masks."""
    if disc:
        area = int(np.count_nonzero(masks["disc"]))
        if math.pi * disc.diameter**2 / 4 < (1 - _OUTSIDE) * area:
            yield "The disc is in several parts; the largest counts."
        if _at_the_edge(masks["disc"], field.mask):
            yield "The disc touches the edge of the field of view."
    if disc and "cup" in masks:
        cup = int(np.count_nonzero(masks["cup"]))
        outside = int(np.count_nonzero(masks["cup"] & ~masks["disc"]))
        if outside > _OUTSIDE * cup:
            yield f"{outside / cup:.0%} of the cup lies outside the disc."


def _at_the_edge(mask: Mask, field: Mask) -> bool:
    """Check whether a mask has a pixel beside one that is not in the field of view."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    around = np.pad(field, 1)[rows[0] : rows[-1] + 3, columns[0] : columns[-1] + 3]
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = inside.shape
    return any(
        bool((inside & ~around[down : down + height, right : right + width]).any())
        for down, right in ((0, 1), (2, 1), (1, 0), (1, 2))
    )


def _conflicts(eye: Eye | None, shown: Eye | None, spacing: Spacing | None) -> Iterator[str]:
    """Yield where what is given contradicts itself."""
    if eye and shown and eye != shown:
        yield f"The eye is said to be the {eye} one, and disc and fovea lie as in a {shown} one."
    if spacing and abs(spacing[0] / spacing[1] - 1) > _SQUARE:
        yield "Pixels are not square; what is not vertical or horizontal is off in mm."
