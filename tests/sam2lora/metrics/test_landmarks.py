"""Errors of points, and what follows from disc and fovea."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.metrics.landmarks import closeness, disc_center, disc_diameter, eye_side

FIELD = FieldOfView(np.ones((70, 70), bool), (35, 35), 70.0)


def test_closeness_falls_from_one_to_zero_at_a_seventh_of_the_field() -> None:
    assert closeness((30, 30), (30, 30), FIELD) == 1
    assert closeness((35, 30), (30, 30), FIELD) == pytest.approx(0.5)
    assert closeness((30, 40), (30, 30), FIELD) == 0
    assert closeness((0, 0), (69, 69), FIELD) == 0


def test_diameter_and_center_of_the_disc_are_those_of_its_area() -> None:
    rows, columns = np.ogrid[:80, :80]
    disc = (rows - 30) ** 2 + (columns - 50) ** 2 <= 20**2
    assert disc_diameter(disc) == pytest.approx(40, abs=0.5)
    assert disc_center(disc) == (50, 30)
    assert disc_diameter(np.zeros((9, 9), bool)) is None
    assert disc_center(np.zeros((9, 9), bool)) is None


def test_fovea_lies_on_the_side_of_the_temple() -> None:
    assert eye_side((100, 50), (20, 60)) == "right"
    assert eye_side((20, 50), (100, 60)) == "left"
    assert eye_side((50, 20), (60, 100)) is None  # an image that is turned
    assert eye_side((50, 50), (50, 50)) is None
