"""Errors of points, and the diameter of the disc."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.metrics.landmarks import closeness, disc_diameter

FIELD = FieldOfView(np.ones((70, 70), bool), (35, 35), 70.0)


def test_closeness_falls_from_one_to_zero_at_a_seventh_of_the_field() -> None:
    assert closeness((30, 30), (30, 30), FIELD) == 1
    assert closeness((35, 30), (30, 30), FIELD) == pytest.approx(0.5)
    assert closeness((30, 40), (30, 30), FIELD) == 0
    assert closeness((0, 0), (69, 69), FIELD) == 0


def test_diameter_of_the_disc_is_that_of_its_area() -> None:
    rows, columns = np.ogrid[:80, :80]
    disc = (rows - 30) ** 2 + (columns - 50) ** 2 <= 20**2
    assert disc_diameter(disc) == pytest.approx(40, abs=0.5)
    assert disc_diameter(np.zeros((9, 9), bool)) is None
