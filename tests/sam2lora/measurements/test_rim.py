"""The rim between circles whose distance in every direction is known."""

import numpy as np
import pytest

from sam2lora.measurements.rim import (
    ddls_stage,
    follows_isnt,
    hour_of,
    hour_widths,
    narrowest,
    rim_profile,
    sector_widths,
)

Y, X = np.ogrid[:240, :300]


def circle(x: float, y: float, radius: float) -> np.ndarray:
    return np.hypot(X - x, Y - y) <= radius


DISC = circle(150, 120, 60)
EMPTY = np.zeros_like(DISC)


def radius_of_shifted(angle: np.ndarray, shift: float, radius: float) -> np.ndarray:
    """Distance along a ray to a circle whose centre is `shift` to the left."""
    along = -shift * np.cos(angle)
    return along + np.sqrt(radius**2 - (shift * np.sin(angle)) ** 2)


def test_rim_of_concentric_circles_is_equally_wide() -> None:
    profile = rim_profile(DISC, circle(150, 120, 30))
    assert profile is not None
    assert profile.center == pytest.approx((150, 120))
    assert profile.disc == pytest.approx(60, abs=0.75)
    assert profile.width == pytest.approx(30, abs=1.2)
    assert narrowest(profile)[0] == pytest.approx(0.25, abs=0.005)
    assert list(sector_widths(profile, "right").values()) == pytest.approx([30] * 4, abs=0.3)
    assert list(hour_widths(profile, "left").values()) == pytest.approx([30] * 12, abs=0.5)


def test_rim_of_a_shifted_cup_is_that_of_the_formula() -> None:
    profile = rim_profile(DISC, circle(135, 120, 30))
    assert profile is not None
    angle = np.deg2rad(np.arange(360))
    assert profile.cup == pytest.approx(radius_of_shifted(angle, 15, 30), abs=0.8)
    ratio, degree = narrowest(profile)
    assert ratio == pytest.approx((60 - 45) / 120, abs=0.005)
    assert degree == pytest.approx(180, abs=6)


def test_sectors_and_hours_of_a_left_eye_are_mirrored() -> None:
    profile = rim_profile(DISC, circle(135, 120, 30))  # narrow on the left of the image
    assert profile is not None
    right, left = (sector_widths(profile, eye) for eye in ("right", "left"))
    assert right["temporal"] == pytest.approx(left["nasal"])
    assert right["temporal"] < right["superior"] < right["nasal"]
    assert right["inferior"] == pytest.approx(left["inferior"], abs=0.05)
    hours, mirrored = (hour_widths(profile, eye) for eye in ("right", "left"))
    assert min(hours, key=hours.__getitem__) == 9
    assert min(mirrored, key=mirrored.__getitem__) == 3
    assert hours[10] == pytest.approx(mirrored[2])


def test_unknown_side_has_no_nasal_and_temporal_sector() -> None:
    profile = rim_profile(DISC, circle(150, 120, 30))
    assert profile is not None
    widths = sector_widths(profile, None)
    assert set(widths) == {"inferior", "superior"}
    assert follows_isnt(widths) is None


def test_isnt_rule_is_an_order() -> None:
    assert follows_isnt({"inferior": 4, "superior": 3, "nasal": 3, "temporal": 1})
    assert not follows_isnt({"inferior": 3, "superior": 4, "nasal": 3, "temporal": 1})


@pytest.mark.parametrize(("degree", "hour"), [(270, 12), (0, 3), (90, 6), (180, 9), (285, 12)])
def test_hour_is_that_of_a_clock_in_a_right_eye(degree: int, hour: int) -> None:
    assert hour_of(degree - 1, "right") == hour
    assert hour_of((181 - degree) % 360, "left") == hour


@pytest.mark.parametrize(("cup", "stage"), [(10, 1), (17, 2), (30, 3), (42, 4), (53, 5), (60, 10)])
def test_stage_follows_the_rim_disc_ratio(cup: float, stage: int) -> None:
    profile = rim_profile(DISC, circle(150, 120, cup))
    assert profile is not None
    assert ddls_stage(profile) == stage


@pytest.mark.parametrize(("extent", "stage"), [(30, 6), (80, 7), (120, 8), (200, 9), (300, 10)])
def test_stage_of_an_absent_rim_follows_its_extent(extent: float, stage: int) -> None:
    off = np.abs((np.rad2deg(np.arctan2(Y - 120, X - 150)) + 180) % 360 - 180)
    cup = circle(150, 120, 30) | (DISC & (off <= (extent + 11) / 2))
    profile = rim_profile(DISC, cup)
    assert profile is not None
    assert ddls_stage(profile) == stage


def test_no_cup_leaves_the_whole_radius_and_no_disc_nothing() -> None:
    profile = rim_profile(DISC, EMPTY)
    assert profile is not None
    assert narrowest(profile)[0] == pytest.approx(0.5, abs=0.01)
    assert ddls_stage(profile) == 1
    assert rim_profile(EMPTY, DISC) is None


def test_stray_pixels_of_disc_and_cup_do_not_count() -> None:
    disc, cup = DISC.copy(), circle(150, 120, 30)
    disc[5:8, 5:8] = cup[5:8, 5:8] = True
    plain = rim_profile(DISC, circle(150, 120, 30))
    stray = rim_profile(disc, cup)
    assert plain is not None
    assert stray is not None
    assert np.array_equal(plain.width, stray.width)
