"""The table of what is measured: the name, unit, masks, definition and source of each number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from sam2lora.measurements.regions import ETDRS_FIELDS
from sam2lora.measurements.rim import HOURS, SECTORS

Unit = Literal["px", "px²", "mm", "mm²", "ratio", "count", "stage", "yes or no", "hour", "degrees"]

Group = Literal["disc and cup", "rim", "vessels", "fovea"]


@dataclass(frozen=True)
class NormalRange:
    """Where most values of people without a disease of the eye lie; no limit of a disease.

    Attributes
    ----------
    low, high
        Its ends; the lower one is None where it is open.
    source
        Who found it.
    about
        What it is a range of, in a few words.
    """

    low: float | None
    high: float
    source: str
    about: str

    def holds(self, value: float) -> bool:
        """Check whether a value is in the range."""
        too_low = self.low is not None and value < self.low
        return not too_low and value <= self.high

    @property
    def text(self) -> str:
        """The range in words, such as "0.5 to 0.7" or "up to 0.7"."""
        return f"up to {self.high}" if self.low is None else f"{self.low} to {self.high}"


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
    group
        What of the eye it is about.
    normal
        Where it lies in most people; None if no source says so for this definition.
    note
        What has to be known to read it; empty if nothing.
    """

    name: str
    unit: Unit
    needs: tuple[str, ...]
    text: str
    source: str = ""
    group: Group = "disc and cup"
    normal: NormalRange | None = None
    note: str = ""


_RIM = ("disc", "cup")
_GRID = ("vessel", "eye", "fovea", "scale")
_ISNT = "Jonas et al. 1988"
_DDLS = "Spaeth et al. 2002"
_NORMAL = {
    "disc_area_mm2": NormalRange(
        1.51, 3.79, "Wang et al. 2006", "mean and two standard deviations of 4027 people"
    ),
    "vertical_cup_disc_ratio": NormalRange(
        None, 0.7, "Wolfs et al. 2000", "97.5th percentile of a population; larger in large discs"
    ),
    "disc_fovea_distance_mm": NormalRange(
        3.76, 6.53, "Jonas et al. 2015a", "least and most of 2836 people"
    ),
    "disc_fovea_angle": NormalRange(
        -6.3, 28.9, "Jonas et al. 2015b", "least and most of 6043 eyes"
    ),
}
_NOTES = {
    "isnt_rule": (
        "many healthy eyes break it: 63 % of 110 in photographs (Poon et al. 2017), 23 % of 77 "
        "(Moon et al. 2018)"
    ),
    "disc_fovea_distance_px": (
        "in millimetres only by a scale of the file: without one, this distance is the scale"
    ),
}
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
    text = "angle of the line from disc to fovea to the horizontal, positive if the fovea is lower"
    yield Definition("disc_fovea_angle", "degrees", ("disc", "fovea"), text, "Jonas et al. 2015b")


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
    groups: Mapping[Group, Iterator[Definition]] = {
        "disc and cup": _of_disc_and_cup(),
        "rim": _of_the_rim(),
        "vessels": _of_vessels(),
        "fovea": _of_the_fovea(),
    }
    for group, definitions in groups.items():
        for one in _with_twins(definitions):
            normal, note = _NORMAL.get(one.name), _NOTES.get(one.name, "")
            yield replace(one, group=group, normal=normal, note=note)


DEFINITIONS: Mapping[str, Definition] = MappingProxyType({one.name: one for one in _all()})
"""All numbers that `measure_eye` returns, by name, in the order of a table's columns."""
