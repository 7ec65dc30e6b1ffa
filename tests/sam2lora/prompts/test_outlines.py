"""Ellipses that fit masks."""

import numpy as np
import pytest

from sam2lora.datasets.ellipses import Ellipse
from sam2lora.prompts.outlines import fit_ellipse, rounded


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, -50.0])
def test_ellipse_of_a_drawn_one_covers_the_same_pixels(angle: float) -> None:
    drawn = Ellipse(90.5, 70.0, 40.0, 25.0, angle)
    mask = drawn.mask((140, 180))
    fitted = fit_ellipse(mask)
    assert fitted is not None
    again = fitted.mask(mask.shape)
    assert 2 * (mask & again).sum() / (mask.sum() + again.sum()) > 0.995


def test_largest_part_counts() -> None:
    mask = Ellipse(50, 50, 20, 15).mask((100, 200)) | Ellipse(150, 50, 5, 5).mask((100, 200))
    fitted = fit_ellipse(mask)
    assert fitted is not None
    assert (fitted.x, fitted.y) == pytest.approx((50, 50))


def test_nothing_and_a_line_have_no_ellipse() -> None:
    mask = np.zeros((60, 60), np.bool_)
    assert fit_ellipse(mask) is None
    mask[30, 5:50] = True
    assert fit_ellipse(mask) is None


def test_rounded_ellipse_is_stable() -> None:
    once = rounded(Ellipse(1.23456, 2.5, 10.00049, 4.9999, 33.33333))
    assert rounded(once) == once


def test_ellipse_beyond_the_image_has_no_pixels_in_it() -> None:
    assert not Ellipse(-50, -50, 10, 10).mask((40, 40)).any()
