"""Zones and grid around known centres."""

import numpy as np
import pytest

from sam2lora.measurements.anatomy import Disc
from sam2lora.measurements.regions import (
    ETDRS_FIELDS,
    density,
    etdrs_area,
    etdrs_grid,
    zone,
    zone_area,
)

SHAPE = (400, 500)
DISC = Disc((250, 200), 60)
FOVEA, MM = (250, 200), 0.02  # circles of 25, 75 and 150 pixels


def at(grid: np.ndarray, x: int, y: int) -> str:
    return ETDRS_FIELDS[grid[y, x] - 1] if grid[y, x] else ""


def test_zones_are_rings_of_disc_diameters() -> None:
    ring = zone("b", DISC, SHAPE)
    assert (ring[200, 250 + 61], ring[200, 250 + 89]) == (True, True)
    assert (ring[200, 250 + 58], ring[200, 250 + 91]) == (False, False)
    assert ring.sum() == pytest.approx(zone_area("b", DISC), rel=0.01)
    assert zone("c", DISC, SHAPE)[200, 250 + 148]
    assert zone_area("c", DISC) == pytest.approx(np.pi * (150**2 - 60**2))


def test_grid_has_nine_fields_of_known_area_and_side() -> None:
    grid = etdrs_grid(FOVEA, MM, "right", SHAPE)
    assert set(np.unique(grid)) == set(range(10))
    for number, name in enumerate(ETDRS_FIELDS, start=1):
        assert (grid == number).sum() == pytest.approx(etdrs_area(name, MM), rel=0.03)
    assert at(grid, 250, 200) == "center"
    assert at(grid, 250 + 50, 200) == "inner_nasal"
    assert at(grid, 250 - 100, 200) == "outer_temporal"
    assert at(grid, 250, 150) == "inner_superior"
    assert at(grid, 250, 300) == "outer_inferior"
    assert at(grid, 250 + 151, 200) == ""


def test_grid_of_a_left_eye_is_mirrored() -> None:
    assert at(etdrs_grid(FOVEA, MM, "left", SHAPE), 300, 200) == "inner_temporal"


def test_density_is_a_share_and_unknown_where_too_little_is_visible() -> None:
    region = zone("b", DISC, SHAPE)
    vessel = np.zeros(SHAPE, bool)
    vessel[:, 250:] = True
    area = zone_area("b", DISC)
    assert density(vessel, region, area) == pytest.approx(0.5, abs=0.01)
    visible = region.copy()
    visible[:, :240] = False
    assert density(vessel, visible, area) == pytest.approx(0.93, abs=0.03)
    visible[:, :255] = False
    assert density(vessel, visible, area) is None
    assert density(vessel, np.zeros(SHAPE, bool), area) is None
