"""Measurements as text."""

from dataclasses import replace

import pytest

from napari_sam2lora.measurements.rows import (
    MeasurementRow,
    drawn_texts,
    label_of,
    rows_of,
    value_text,
)
from sam2lora.measurements.anatomy import Scale
from sam2lora.measurements.definitions import DEFINITIONS
from sam2lora.measurements.eye import EyeMeasurements, MeasuredValue

NOTHING: dict[str, MeasuredValue] = dict.fromkeys(DEFINITIONS)
BY_FILE, BY_CONVENTION = Scale(0.01, "file"), Scale(0.01, "disc-fovea distance")


def row(
    name: str,
    confidences: dict[str, float] | None = None,
    *,
    scale: Scale | None = BY_FILE,
    stated: str | None = "right",
    **values: float,
) -> MeasurementRow:
    found = EyeMeasurements(NOTHING | values, "right", scale, ())
    rows = {one.name: one for one in rows_of(found, confidences or {}, stated)}
    return rows[name]


def test_every_definition_is_in_a_row_with_its_twin() -> None:
    rows = list(rows_of(EyeMeasurements(NOTHING, None, None, ()), {}, None))
    assert {one.group for one in rows} == {"disc and cup", "rim", "vessels", "fovea"}
    names = {one.name for one in rows}
    for name, one in DEFINITIONS.items():
        assert (name in names) == (one.unit not in ("mm", "mm²"))
    assert {one.value for one in rows} == {"—"}
    assert not any(one.outside or one.confidence for one in rows)
    assert [one.part for one in rows].count("Clock hours") == 12
    assert [one.part for one in rows].count("ETDRS grid") == 9


def test_values_have_units_and_millimetres_where_they_are_known() -> None:
    assert value_text("disc_area_px", {"disc_area_px": 452}) == "452 px²"
    both = {"disc_area_px": 452, "disc_area_mm2": 2.0}
    assert value_text("disc_area_px", both) == "452 px² · 2.00 mm²"
    assert value_text("rim_width_nasal_px", {"rim_width_nasal_px": 12.345}) == "12.3 px"
    assert value_text("isnt_rule", {"isnt_rule": False}) == "no"
    assert value_text("vessel_density", {"vessel_density": 0.12345}) == "0.123"
    assert value_text("disc_fovea_angle", {"disc_fovea_angle": 6.25}) == "6.2°"
    assert value_text("vessel_skeleton_length_px", {"vessel_skeleton_length_px": 8704.6}) == (
        "8705 px"
    )
    assert value_text("ddls_stage", {"ddls_stage": 3}) == "3"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("vertical_cup_disc_ratio", "Vertical cup/disc ratio"),
        ("rim_width_hour_01_px", "Rim width hour 01"),
        ("isnt_rule", "ISNT rule"),
        ("vessel_density_zone_b", "Vessel density zone B"),
        ("vessel_density_etdrs_center", "Vessel density ETDRS center"),
    ],
)
def test_names_are_words(name: str, label: str) -> None:
    assert label_of(DEFINITIONS[name]) == label


def test_texts_on_the_image_are_in_one_unit() -> None:
    values = NOTHING | {"rim_width_nasal_px": 12.3, "rim_width_nasal_mm": 0.2}
    found = EyeMeasurements(values, "left", Scale(0.01, "disc-fovea distance"), ())
    assert drawn_texts(found)["rim_width_nasal_px"] == "12.3 px"
    known = replace(found, scale=Scale(0.01, "file"))
    assert drawn_texts(known)["rim_width_nasal_px"] == "0.20 mm"
    assert "rim_width_hour_01_px" not in drawn_texts(found)


def test_value_outside_a_range_is_marked_with_the_range_and_its_source() -> None:
    large = row("vertical_cup_disc_ratio", vertical_cup_disc_ratio=0.8)
    assert large.outside == "above 0.7 (Wolfs et al. 2000)"
    assert row("vertical_cup_disc_ratio", vertical_cup_disc_ratio=0.7).outside == ""
    small = row("disc_area_px", disc_area_px=400, disc_area_mm2=1.2)
    assert small.outside == "outside 1.51 to 3.79 mm² (Wang et al. 2006)"
    assert row("disc_area_px", disc_area_px=400).outside == ""
    assumed = row("disc_area_px", disc_area_px=400, disc_area_mm2=1.2, scale=BY_CONVENTION)
    assert assumed.outside == ""
    assert row("disc_fovea_angle", disc_fovea_angle=-20).outside.startswith("outside -6.3 to 28.9°")


def test_confidence_is_that_of_the_least_sure_mask() -> None:
    sure = {"disc": 0.95, "cup": 0.4}
    assert row("vertical_cup_disc_ratio", sure).confidence == "cup 0.40"
    assert row("disc_area_px", sure).confidence == "disc 0.95"
    assert row("vessel_density", sure).confidence == ""


def test_confidence_is_also_that_of_the_fovea_from_which_side_and_scale_come() -> None:
    sure = {"disc": 0.95, "cup": 0.6, "fovea": 0.4}
    assert row("disc_fovea_angle", sure).confidence == "fovea 0.40"
    assert row("vessel_density_etdrs_center", sure).confidence == "fovea 0.40"
    assert row("rim_width_nasal_px", sure).confidence == "cup 0.60"
    assert row("rim_width_nasal_px", sure, stated=None).confidence == "fovea 0.40"
    assert row("rim_width_superior_px", sure, stated=None).confidence == "cup 0.60"
    both = {"disc_area_px": 400, "disc_area_mm2": 2.0}
    assert row("disc_area_px", sure, **both).confidence == "disc 0.95"
    assert row("disc_area_px", sure, scale=BY_CONVENTION, **both).confidence == "fovea 0.40"
    assert row("disc_area_px", sure, scale=None, disc_area_px=400).confidence == "disc 0.95"


def test_tip_has_definition_source_and_range() -> None:
    tip = row("vertical_cup_disc_ratio").tip
    assert tip.startswith("Height of the cup by height of the disc")
    assert "Normal range: up to 0.7" in tip
    assert "Not a diagnosis." in tip
    isnt = row("isnt_rule").tip
    assert "Jonas et al. 1988" in isnt
    assert "Many healthy eyes break it" in isnt
    assert "Normal range" not in isnt
    assert "1.51 to 3.79 mm²" in row("disc_area_px").tip
