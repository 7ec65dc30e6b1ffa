"""All measurements of an eye drawn of circles and lines."""

import numpy as np
import pytest

from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements.definitions import DEFINITIONS
from sam2lora.measurements.eye import measure_eye

SHAPE = (600, 800)
Y, X = np.ogrid[:600, :800]


def circle(x: float, y: float, radius: float) -> np.ndarray:
    return np.hypot(X - x, Y - y) <= radius


FIELD = FieldOfView(circle(400, 300, 290), (400, 300), 580)
VESSEL = np.broadcast_to(np.abs(Y - 300) <= 2, SHAPE)
MASKS = {"disc": circle(500, 300, 30), "cup": circle(500, 303, 15), "vessel": VESSEL}
FOVEA = (350.0, 300.0)


def test_every_definition_has_a_value_where_everything_is_known() -> None:
    found = measure_eye(MASKS, FIELD, fovea=FOVEA)
    assert list(found.values) == list(DEFINITIONS)
    missing = [name for name, value in found.values.items() if value is None]
    assert missing == ["disc_fovea_distance_mm"]  # it is the scale
    by_file = measure_eye(MASKS, FIELD, spacing=(0.02, 0.02), fovea=FOVEA)
    assert None not in by_file.values.values()
    assert (found.eye, found.warnings) == ("right", ())


def test_values_are_those_of_the_shapes() -> None:
    values = measure_eye(MASKS, FIELD, fovea=FOVEA).values
    assert values["disc_area_px"] == pytest.approx(np.pi * 30**2, rel=0.01)
    assert values["vertical_cup_disc_ratio"] == pytest.approx(31 / 61)
    assert values["horizontal_cup_disc_ratio"] == pytest.approx(31 / 61)
    assert values["area_cup_disc_ratio"] == pytest.approx(0.25, abs=0.01)
    assert values["rim_width_superior_px"] > values["rim_width_inferior_px"]
    assert values["isnt_rule"] is False
    assert values["rim_narrowest_hour"] == 6
    assert values["rim_disc_ratio"] == pytest.approx(12 / 60, abs=0.01)
    assert values["disc_fovea_distance_px"] == 150
    assert values["disc_fovea_distance_mm"] is None
    ring = np.pi * (90**2 - 60**2)
    assert values["vessel_density_zone_b"] == pytest.approx(2 * 30 * 5 / ring, rel=0.03)
    assert values["vessel_skeleton_length_px"] == pytest.approx(580, abs=6)
    assert values["vessel_branch_points"] == 0
    assert values["vessel_tortuosity_mean"] == pytest.approx(1, abs=0.001)
    assert values["vessel_fractal_dimension"] == pytest.approx(1, abs=0.05)
    assert values["vessel_density_etdrs_outer_superior"] == 0
    assert values["vessel_density_etdrs_inner_nasal"] > 0


def test_millimetres_are_those_of_the_scale() -> None:
    by_file = measure_eye(MASKS, FIELD, spacing=(0.02, 0.02), fovea=FOVEA)
    assert by_file.scale is not None
    assert by_file.scale.source == "file"
    assert by_file.values["disc_height_mm"] == pytest.approx(61 * 0.02)
    assert by_file.values["disc_fovea_distance_mm"] == pytest.approx(150 * 0.02)
    area = by_file.values["disc_area_px"]
    assert isinstance(area, int)
    assert by_file.values["disc_area_mm2"] == pytest.approx(area * 0.0004)
    unscaled = measure_eye(MASKS, FIELD, eye="right")
    assert unscaled.scale is None
    assert not [
        name
        for name, value in unscaled.values.items()
        if value is not None and DEFINITIONS[name].unit in ("mm", "mm²")
    ]


@pytest.mark.parametrize("missing", ["disc", "cup", "vessel", "eye", "fovea", "scale"])
def test_what_needs_something_missing_is_none_and_nothing_else(missing: str) -> None:
    masks = {name: mask for name, mask in MASKS.items() if name != missing}
    found = measure_eye(
        masks,
        FIELD,
        spacing=None if missing == "scale" else (0.02, 0.02),
        eye=None if missing == "eye" else "right",
        fovea=None if missing in ("fovea", "eye", "scale") else FOVEA,
    )
    lacks = {missing} | ({"fovea"} if missing in ("eye", "scale") else set())
    for name, value in found.values.items():
        assert (value is None) == bool(lacks & set(DEFINITIONS[name].needs)), name


def test_empty_masks_are_measured_as_far_as_they_can_be() -> None:
    nothing = np.zeros(SHAPE, bool)
    found = measure_eye(dict.fromkeys(("disc", "cup", "vessel"), nothing), FIELD, eye="left")
    assert found.values["disc_area_px"] == 0
    assert found.values["vertical_cup_disc_ratio"] is None
    assert found.values["rim_disc_ratio"] is None
    assert found.values["vessel_density"] == 0
    assert found.values["vessel_fractal_dimension"] is None
    no_cup = measure_eye(MASKS | {"cup": nothing}, FIELD, eye="left").values
    assert no_cup["vertical_cup_disc_ratio"] == no_cup["horizontal_cup_disc_ratio"] == 0
    assert no_cup["ddls_stage"] == 1


def test_doubtful_masks_and_contradictions_are_warned_of() -> None:
    masks = {
        "disc": circle(670, 300, 30) | circle(200, 300, 20),
        "cup": circle(670, 250, 15),
    }
    found = measure_eye(masks, FIELD, spacing=(0.02, 0.03), eye="left", fovea=FOVEA)
    text = " ".join(found.warnings)
    assert "several parts" in text
    assert "touches the edge" in text
    assert "% of the cup lies outside the disc" in text
    assert "said to be the left one" in text
    assert "not square" in text
    assert found.eye == "left"


def test_mask_of_another_size_is_refused() -> None:
    with pytest.raises(GeometryError, match="disc mask has shape"):
        measure_eye({"disc": np.zeros((5, 5), bool)}, FIELD)
