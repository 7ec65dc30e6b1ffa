"""Measurements of shapes of known size."""

import json

import numpy as np
import pytest

from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements.structures import measure

SHAPE = (200, 300)
ROWS, COLUMNS = np.ogrid[:200, :300]


def ellipse(height: float, width: float) -> np.ndarray:
    return ((ROWS - 100) / (height / 2)) ** 2 + ((COLUMNS - 150) / (width / 2)) ** 2 <= 1


FIELD = FieldOfView(np.hypot(COLUMNS - 150, ROWS - 100) <= 95, (150, 100), 190)


def test_diameters_areas_and_ratios_of_ellipses() -> None:
    masks = {"disc": ellipse(80, 60), "cup": ellipse(40, 36)}
    found = measure(masks, FIELD, spacing=(0.01, 0.02))
    disc = found.structures["disc"]
    assert disc.vertical_px == pytest.approx(81, abs=1)
    assert disc.horizontal_px == pytest.approx(61, abs=1)
    assert disc.vertical_mm == pytest.approx(disc.vertical_px * 0.01)
    assert disc.horizontal_mm == pytest.approx(disc.horizontal_px * 0.02)
    assert disc.area_px == pytest.approx(np.pi * 40 * 30, rel=0.01)
    assert disc.area_mm2 == pytest.approx(disc.area_px * 0.0002)
    assert found.vertical_cup_disc_ratio == pytest.approx(0.5, abs=0.02)
    assert found.area_cup_disc_ratio == pytest.approx(0.3, abs=0.01)
    assert found.vessel_density is None


def test_vessel_density_counts_inside_the_field_only() -> None:
    vessel = np.zeros(SHAPE, bool)
    vessel[:, 150:] = True
    found = measure({"vessel": vessel}, FIELD)
    assert found.vessel_density == pytest.approx(0.5, abs=0.01)
    assert found.structures["vessel"].area_mm2 is None


def test_a_stray_pixel_changes_no_diameter() -> None:
    disc = ellipse(80, 60)
    stray = disc.copy()
    stray[15, 150] = True
    before, after = (measure({"disc": mask}, FIELD).structures["disc"] for mask in (disc, stray))
    assert after.vertical_px == before.vertical_px
    assert after.area_px == before.area_px + 1


def test_ratio_is_undefined_without_disc_and_zero_without_cup() -> None:
    nothing = np.zeros(SHAPE, bool)
    assert measure({"disc": ellipse(80, 60), "cup": nothing}, FIELD).vertical_cup_disc_ratio == 0
    assert measure({"disc": nothing, "cup": nothing}, FIELD).vertical_cup_disc_ratio is None
    assert measure({"cup": ellipse(10, 10)}, FIELD).vertical_cup_disc_ratio is None


def test_mask_of_another_size_is_refused() -> None:
    with pytest.raises(GeometryError, match="disc mask has shape"):
        measure({"disc": np.zeros((5, 5), bool)}, FIELD)


def test_measurements_are_plain_json() -> None:
    content = json.loads(measure({"disc": ellipse(80, 60)}, FIELD).model_dump_json())
    assert content["structures"]["disc"]["area_mm2"] is None
    assert content["field_diameter_px"] == 190
