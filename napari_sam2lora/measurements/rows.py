"""The measurements of one eye as text: rows in groups, with units, ranges and confidences."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sam2lora.measurements.definitions import DEFINITIONS, Definition, Group, Unit
from sam2lora.measurements.eye import EyeMeasurements, MeasuredValue
from sam2lora.types import Eye

_NAMES = {
    "cup disc": "cup/disc",
    "rim disc": "rim/disc",
    "etdrs": "ETDRS",
    "isnt": "ISNT",
    "ddls": "DDLS",
    "disc fovea": "disc–fovea",
    "zone b": "zone B",
    "zone c": "zone C",
}
_PARTS = {"rim_width_hour_": "Clock hours", "vessel_density_etdrs_": "ETDRS grid"}
_TWINS = ("mm", "mm²")
_FORMS: Mapping[Unit, str] = {
    "count": "{:.0f}",
    "stage": "{:.0f}",
    "hour": "{:.0f}",
    "ratio": "{:.3f}",
    "degrees": "{:.1f}°",
    "px": "{:.1f} px",
    "px²": "{:.0f} px²",
    "mm": "{:.2f} mm",
    "mm²": "{:.2f} mm²",
}
_LONG = 100  # pixels or millimetres from which a length has no decimals
_NOTHING = "—"


@dataclass(frozen=True)
class MeasurementRow:
    """One row.

    Attributes
    ----------
    name
        The measurement, a key of `DEFINITIONS`.
    group
        The group it is in.
    part
        The part of the group it is in, where that has many alike; else empty.
    label
        Its name in words.
    value
        The value with its unit, also in millimetres where there is a scale.
    outside
        Which normal range it is outside of, and whose that is; empty if it is in it or has none.
    confidence
        How sure the least sure prediction is that it was measured in; empty if none is known.
    tip
        The definition, its source, and the normal range.
    """

    name: str
    group: Group
    part: str
    label: str
    value: str
    outside: str
    confidence: str
    tip: str


def rows_of(
    found: EyeMeasurements, confidences: Mapping[str, float], stated: Eye | None
) -> Iterator[MeasurementRow]:
    """Yield a row for each measurement.

    Parameters
    ----------
    found
        What was measured.
    confidences
        How sure predictions are, 0…1, by target; also of the fovea.
    stated
        The side of the eye, where it does not come from disc and fovea.
    """
    values, normal = found.values, found.values
    if not _has_scale_of_file(found):  # the mean eye's scale does not do for a single one
        normal = {name: one for name, one in values.items() if DEFINITIONS[name].unit not in _TWINS}
    for name, one in DEFINITIONS.items():
        if one.unit in _TWINS:
            continue
        part = next((part for start, part in _PARTS.items() if name.startswith(start)), "")
        yield MeasurementRow(
            name=name,
            group=one.group,
            part=part,
            label=label_of(one),
            value=value_text(name, values),
            outside=_outside(one, normal) or _outside(_twin(one), normal),
            confidence=_lowest(_needs(one, found, stated), confidences),
            tip=_tip(one),
        )


def label_of(definition: Definition) -> str:
    """Return the name of a measurement in words."""
    words = definition.name.removesuffix("_px").replace("_", " ")
    for word, spelled in _NAMES.items():
        words = words.replace(word, spelled)
    return words[:1].upper() + words[1:]


def drawn_texts(found: EyeMeasurements) -> dict[str, str]:
    """Return what is written beside regions on the image, by measurement: one unit, so short.

    That of clock hours is left out: there are too many.
    """
    values, in_mm = found.values, _has_scale_of_file(found)
    texts = {}
    for name, one in DEFINITIONS.items():
        shown = (_twin(one) if in_mm else None) or one
        if not name.startswith("rim_width_hour"):
            texts[name] = _formatted(shown, values.get(shown.name))
    return texts


def value_text(name: str, values: Mapping[str, MeasuredValue]) -> str:
    """Return a value with its unit, and the same in millimetres where that is known."""
    text = _formatted(DEFINITIONS[name], values.get(name))
    twin = _twin(DEFINITIONS[name])
    if twin is not None and values.get(twin.name) is not None:
        text += f" · {_formatted(twin, values[twin.name])}"
    return text


def _formatted(definition: Definition, value: MeasuredValue) -> str:
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    unit = definition.unit
    long = unit in ("px", "mm") and value >= _LONG
    return f"{value:.0f} {unit}" if long else _FORMS[unit].format(value)


def _twin(definition: Definition) -> Definition | None:
    """Return the definition of the same number in millimetres."""
    if definition.unit not in ("px", "px²"):
        return None
    stem = definition.name.removesuffix("px")
    return DEFINITIONS[f"{stem}mm" if definition.unit == "px" else f"{stem}mm2"]


def _outside(definition: Definition | None, values: Mapping[str, MeasuredValue]) -> str:
    if definition is None or definition.normal is None:
        return ""
    value, normal = values.get(definition.name), definition.normal
    if value is None or normal.holds(value):
        return ""
    text = f"above {normal.high}" if normal.low is None else f"outside {normal.text}"
    return f"{text}{_unit(definition)} ({normal.source})"


def _unit(definition: Definition) -> str:
    return {"mm": " mm", "mm²": " mm²", "degrees": "°"}.get(definition.unit, "")


def _has_scale_of_file(found: EyeMeasurements) -> bool:
    return found.scale is not None and found.scale.source == "file"


def _needs(definition: Definition, found: EyeMeasurements, stated: Eye | None) -> Collection[str]:
    """Return what a row was measured in, with what its side and its millimetres come from."""
    needs, twin = {*definition.needs}, _twin(definition)
    if twin is not None and found.values[twin.name] is not None:
        needs |= {*twin.needs}
    side = "eye" in needs and stated is None
    scale = "scale" in needs and not _has_scale_of_file(found)
    return needs | {"disc", "fovea"} if side or scale else needs


def _lowest(needs: Collection[str], confidences: Mapping[str, float]) -> str:
    known = {name: one for name, one in confidences.items() if name in needs}
    if not known:
        return ""
    least = min(known, key=known.__getitem__)
    return f"{least} {known[least]:.2f}"


def _tip(definition: Definition) -> str:
    lines = [definition.text[:1].upper() + definition.text[1:] + "."]
    if definition.source:
        lines.append(f"Source: {definition.source}.")
    for one in (definition, _twin(definition)):
        if one is not None and one.normal is not None:
            normal = one.normal
            about = f"Normal range: {normal.text}{_unit(one)}, {normal.about} ({normal.source})."
            lines.append(f"{about} Not a diagnosis.")
    if definition.note:
        lines.append(definition.note[:1].upper() + definition.note[1:] + ".")
    return "\n".join(lines)
