"""Measure the masks of one eye: every number of `definitions`, as far as it can be known."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements import rim
from sam2lora.measurements.anatomy import Disc, Point, Scale, disc_fovea_angle
from sam2lora.measurements.definitions import DEFINITIONS
from sam2lora.measurements.geometry import EyeGeometry, doubts, eye_geometry
from sam2lora.measurements.regions import (
    ETDRS_FIELDS,
    ZONES,
    density,
    etdrs_area,
    etdrs_grid,
    zone,
    zone_area,
)
from sam2lora.measurements.rim import RimProfile
from sam2lora.measurements.skeleton import (
    Skeleton,
    mean_tortuosity,
    median_tortuosity,
    shortest_segment,
)
from sam2lora.measurements.structures import Measurements, measure
from sam2lora.types import Eye, Mask, Spacing

MeasuredValue = float | int | bool | None

_DISTANCE = "disc_fovea_distance_mm"
"""Empty where the scale comes from this very distance: it would be the same in all eyes."""


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
    return measure_geometry(eye_geometry(masks, field, spacing=spacing, eye=eye, fovea=fovea))


def measure_geometry(geometry: EyeGeometry) -> EyeMeasurements:
    """Measure one eye by what `eye_geometry` found."""
    masks, field, disc = geometry.masks, geometry.field, geometry.disc
    pixels: dict[str, MeasuredValue] = dict(
        _of_structures(measure(masks, field, spacing=geometry.spacing))
    )
    if geometry.rim:
        pixels |= _of_rim(geometry.rim, geometry)
    if disc and geometry.fovea:
        pixels["disc_fovea_distance_px"] = math.dist(disc.center, geometry.fovea)
        pixels["disc_fovea_angle"] = disc_fovea_angle(disc.center, geometry.fovea)
    if disc:
        pixels |= _of_zones(masks.get("vessel"), disc, field.mask)
    if "vessel" in masks:
        pixels |= _of_vessels(masks["vessel"], field)
        pixels |= _of_grid(masks["vessel"], geometry)
    values = {name: _value(name, pixels, geometry.scale) for name in DEFINITIONS}
    return EyeMeasurements(values, geometry.eye, geometry.scale, tuple(doubts(geometry)))


def _value(name: str, pixels: Mapping[str, MeasuredValue], scale: Scale | None) -> MeasuredValue:
    """Return a value as measured in pixels, or converted from them."""
    if name == _DISTANCE and scale is not None and scale.source != "file":
        return None
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


def _of_rim(profile: RimProfile, geometry: EyeGeometry) -> dict[str, MeasuredValue]:
    ratio, place = rim.narrowest(profile)
    found: dict[str, MeasuredValue] = {
        "rim_disc_ratio": ratio,
        "ddls_stage": rim.ddls_stage(profile),
    }
    if geometry.turned:
        return found
    eye = geometry.directions
    sectors = rim.sector_widths(profile, eye)
    found["isnt_rule"] = rim.follows_isnt(sectors)
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


def _of_grid(vessel: Mask, geometry: EyeGeometry) -> Iterator[tuple[str, MeasuredValue]]:
    fovea, scale, eye = geometry.fovea, geometry.scale, geometry.directions
    if not (fovea and scale and eye):
        return
    field = geometry.field.mask
    grid = etdrs_grid(fovea, scale.mm_per_px, eye, field.shape)
    for number, name in enumerate(ETDRS_FIELDS, start=1):
        visible = (grid == number) & field
        area = etdrs_area(name, scale.mm_per_px)
        yield f"vessel_density_etdrs_{name}", density(vessel, visible, area)
