"""Ellipses drawn as masks."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.datasets.ellipses import Ellipse
from sam2lora.errors import ImageError

FILE = Path("ellipses.csv")


def test_pixels_whose_center_is_inside_are_drawn() -> None:
    mask = Ellipse(4, 3, 2, 1).draw((8, 10), FILE)
    rows, columns = np.nonzero(mask)
    assert sorted(zip(columns.tolist(), rows.tolist(), strict=True)) == [
        *((x, 3) for x in (2, 3)),
        (4, 2),
        (4, 3),
        (4, 4),
        *((x, 3) for x in (5, 6)),
    ]


def test_area_and_axes_are_those_of_the_ellipse() -> None:
    mask = Ellipse(200, 150, 90, 60).draw((300, 400), FILE)
    assert mask.sum() == pytest.approx(np.pi * 90 * 60, rel=0.002)
    assert np.ptp(np.flatnonzero(mask.any(axis=0))) == 180
    assert np.ptp(np.flatnonzero(mask.any(axis=1))) == 120


def test_angle_turns_the_first_axis_towards_the_rows_below() -> None:
    mask = Ellipse(200, 200, 90, 20, angle=45).draw((400, 400), FILE)
    assert mask[250, 250]
    assert not mask[150, 250]
    np.testing.assert_array_equal(
        Ellipse(200, 200, 90, 20, angle=90).draw((400, 400), FILE),
        Ellipse(200, 200, 20, 90).draw((400, 400), FILE),
    )


def test_ellipse_at_the_border_is_cut_off() -> None:
    mask = Ellipse(0, 0, 5, 5).draw((20, 30), FILE)
    assert mask[0, :6].all()
    assert not mask[0, 6:].any()
    assert Ellipse(29.4, 19.4, 500, 500).draw((20, 30), FILE).all()


def test_center_outside_the_image_is_an_ellipse_of_another_image() -> None:
    with pytest.raises(ImageError, match=r"ellipses\.csv.*at \(31, 5\).*30 × 20"):
        Ellipse(31, 5, 9, 9).draw((20, 30), FILE)
