"""The table of what is measured: the name, unit, masks, definition and source of each number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from sam2lora.measurements.regions import ETDRS_FIELDS
from sam2lora.measurements.rim import HOURS, SECTORS

Unit = Literal["px", "px²", "mm", "mm²", "ratio", "count", "stage", "yes or no", "hour"]


@dataclass(frozen=True)
class Definition:
    """One number that is measured.

    Attributes
    ----------
    name
        Its name, and that of its column in a table.
    unit
        Its unit; a "ratio" is of two numbers of one kind.
    needs
        What has to be there: masks by their target, and "eye" (its side), "fovea" or "scale".
    text
        What it is, in one sentence.
    source
        Where the definition comes from; empty if it goes without saying.
    """

    name: str
    unit: Unit
    needs: tuple[str, ...]
    text: str
    source: str = ""


_RIM = ("disc", "cup")
_GRID = ("vessel", "eye", "fovea", "scale")
_ISNT = "Jonas et al. 1988"
_DDLS = "Spaeth et al. 2002"
_ZONES = {
    "b": ("half a disc diameter off the disc's margin to one", "Hubbard et al. 1999"),
    "c": ("half a disc diameter off the disc's margin to two", "Cheung et al. 2011"),
}


def _of_disc_and_cup() -> Iterator[Definition]:
    for name in ("disc", "cup"):
        needs = (name,)
        yield Definition(
            f"{name}_area_px", "px²", needs, f"area of the {name} in the field of view"
        )
        yield Definition(f"{name}_height_px", "px", needs, f"height of the {name}'s largest part")
        yield Definition(f"{name}_width_px", "px", needs, f"width of the {name}'s largest part")
    for name, what in (("vertical", "height"), ("horizontal", "width"), ("area", "area")):
        text = f"{what} of the cup by {what} of the disc; 0 where there is a disc and no cup"
        yield Definition(f"{name}_cup_disc_ratio", "ratio", _RIM, text)


def _of_the_rim() -> Iterator[Definition]:
    for name in SECTORS:
        needs: tuple[str, ...] = _RIM if name in ("inferior", "superior") else (*_RIM, "eye")
        text = f"mean width of the rim in the {name} quarter, along rays from the disc's centroid"
        yield Definition(f"rim_width_{name}_px", "px", needs, text, _ISNT)
    text = "whether the rim narrows as inferior ≥ superior ≥ nasal ≥ temporal"
    yield Definition("isnt_rule", "yes or no", (*_RIM, "eye"), text, _ISNT)
    for hour in HOURS:
        text = f"mean width of the rim at clock hour {hour} of a right eye; left ones are mirrored"
        yield Definition(f"rim_width_hour_{hour:02}_px", "px", (*_RIM, "eye"), text)
    text = "least width of the rim, a mean over 11 degrees, by the disc's diameter in its direction"
    yield Definition("rim_disc_ratio", "ratio", _RIM, text, _DDLS)
    text = "clock hour of a right eye at which the rim is narrowest"
    yield Definition("rim_narrowest_hour", "hour", (*_RIM, "eye"), text)
    text = "stage of the Disc Damage Likelihood Scale, 1 to 10, not corrected for the disc's size"
    yield Definition("ddls_stage", "stage", _RIM, text, _DDLS)


def _of_vessels() -> Iterator[Definition]:
    one = ("vessel",)
    yield Definition("vessel_density", "ratio", one, "share of the field of view that is vessel")
    for name, (where, source) in _ZONES.items():
        needs = ("vessel", "disc")
        text = f"share of zone {name.upper()} that is vessel: {where}"
        yield Definition(f"vessel_density_zone_{name}", "ratio", needs, text, source)
        text = f"share of zone {name.upper()} that is in the field of view; below half, no density"
        yield Definition(f"zone_{name}_visible", "ratio", ("disc",), text)
    for name in ETDRS_FIELDS:
        text = f"share of the ETDRS grid's {name.replace('_', ' ')} field that is vessel"
        yield Definition(f"vessel_density_etdrs_{name}", "ratio", _GRID, text, "ETDRS Report 10")
    yield Definition("vessel_skeleton_length_px", "px", one, "length of the vessels' skeleton")
    text = "junctions of the skeleton: branchings and crossings"
    yield Definition("vessel_branch_points", "count", one, text)
    text = "box-counting dimension of the skeleton, boxes of 1/4 to 1/128 of the field's diameter"
    yield Definition("vessel_fractal_dimension", "ratio", one, text, "Liew et al. 2008")
    text = "segments between junctions that are at least 2 % of the field's diameter long"
    yield Definition("vessel_segments", "count", one, text)
    text = "mean of length by chord over these segments, weighted by their length"
    yield Definition("vessel_tortuosity_mean", "ratio", one, text, "Hart et al. 1999")
    text = "median of length by chord over these segments"
    yield Definition("vessel_tortuosity_median", "ratio", one, text, "Hart et al. 1999")


def _of_the_fovea() -> Iterator[Definition]:
    text = "distance of the centroid of the disc and the fovea"
    yield Definition("disc_fovea_distance_px", "px", ("disc", "fovea"), text)


def _with_twins(definitions: Iterator[Definition]) -> Iterator[Definition]:
    """Yield definitions, and after each length and area the same in millimetres."""
    for one in definitions:
        yield one
        if one.unit in ("px", "px²"):
            yield replace(
                one,
                name=one.name.removesuffix("px") + ("mm" if one.unit == "px" else "mm2"),
                unit="mm" if one.unit == "px" else "mm²",
                needs=(*one.needs, "scale"),
            )


def _all() -> Iterator[Definition]:
    yield from _with_twins(_of_disc_and_cup())
    yield from _with_twins(_of_the_rim())
    yield from _with_twins(_of_vessels())
    yield from _with_twins(_of_the_fovea())


DEFINITIONS: Mapping[str, Definition] = MappingProxyType({one.name: one for one in _all()})
"""All numbers that `measure_eye` returns, by name, in the order of a table's columns."""
