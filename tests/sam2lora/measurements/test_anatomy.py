"""Landmarks of shapes of known place and size."""

import numpy as np
import pytest

from sam2lora.measurements.anatomy import (
    DISC_FOVEA_MM,
    disc_fovea_angle,
    disc_of,
    is_turned,
    largest_part,
    scale_of,
    side_of,
)

Y, X = np.ogrid[:120, :160]
DISK = np.hypot(X - 90, Y - 50) <= 20


def test_disc_is_a_circle_of_its_largest_part() -> None:
    mask = DISK.copy()
    mask[100:104, 5:9] = True
    disc = disc_of(mask)
    assert disc is not None
    assert disc.center == pytest.approx((90, 50))
    assert disc.diameter == pytest.approx(40, rel=0.01)
    assert np.array_equal(largest_part(mask), DISK)


def test_empty_mask_has_no_disc() -> None:
    assert disc_of(np.zeros((5, 5), bool)) is None
    assert not largest_part(np.zeros((5, 5), bool)).any()


def test_fovea_is_left_of_the_disc_in_a_right_eye() -> None:
    assert side_of((90, 50), (30, 55)) == "right"
    assert side_of((90, 50), (140, 55)) == "left"


def test_side_of_a_turned_image_is_not_known() -> None:
    assert disc_fovea_angle((90, 50), (50, 90)) == pytest.approx(45)
    assert disc_fovea_angle((90, 50), (130, 10)) == pytest.approx(-45)
    assert is_turned((90, 50), (92, 10))
    assert side_of((90, 50), (50, 90)) is None
    assert not is_turned((90, 50), (30, 70))


def test_scale_is_of_the_file_first_then_by_disc_and_fovea() -> None:
    file = scale_of((0.01, 0.01), (90, 50), (30, 50))
    assert file is not None
    assert (file.mm_per_px, file.source) == (pytest.approx(0.01), "file")
    convention = scale_of(None, (90, 50), (30, 50))
    assert convention is not None
    assert convention.mm_per_px == pytest.approx(DISC_FOVEA_MM / 60)
    assert convention.source == "disc-fovea distance"
    assert scale_of(None, (90, 50), None) is None
    assert scale_of(None, (90, 50), (90, 50)) is None
