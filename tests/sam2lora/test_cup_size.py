"""Tests of other cups in real discs."""

import numpy as np
import pytest

from sam2lora.errors import GeometryError
from sam2lora.synthetic import SyntheticSettings, draw_fundus, resize_cup

SHAPE = (120, 140)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]


def circle(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


def height(mask):
    return int(np.ptp(np.nonzero(mask.any(axis=1))[0])) + 1


def eye(cup):
    """Draw a disc of radius 40 whose cup is bright, on a background with stripes."""
    pixels = np.zeros((*SHAPE, 3), dtype=np.uint8)
    pixels[..., 0] = 90 + 20 * (COLUMNS // 8 % 2)
    pixels[circle(60, 70, 40)] = (150, 80, 40)
    pixels[cup] = (240, 210, 150)
    return pixels


@pytest.mark.parametrize("factor", [0.4, 0.6, 0.8, 1.0, 1.3])
def test_cup_in_middle_gets_that_much_larger_and_keeps_its_form(factor):
    disc, cup = circle(60, 70, 40), circle(60, 70, 24)
    _, resized = resize_cup(eye(cup), disc, cup, factor)
    wanted = circle(60, 70, 24 * factor)
    assert 2 * (resized & wanted).sum() / (resized.sum() + wanted.sum()) > 0.97


@pytest.mark.parametrize("factor", [0.5, 1.3])
def test_picture_shows_the_cup_where_its_mask_says(factor):
    disc, cup = circle(60, 70, 40), circle(63, 66, 24)
    pixels, resized = resize_cup(eye(cup), disc, cup, factor)
    bright = pixels[..., 1] > 145  # halfway from rim to cup
    assert 2 * (resized & bright).sum() / (resized.sum() + bright.sum()) > 0.96


def test_nothing_changes_outside_of_the_disc():
    disc, cup = circle(60, 70, 40), circle(62, 72, 30)
    before = eye(cup)
    kept = before.copy()
    pixels, resized = resize_cup(before, disc, cup, 0.5)
    assert np.array_equal(before, kept)
    # The border itself is followed a ray at a time, to within a pixel.
    beyond = ~circle(60, 70, 41)
    assert np.array_equal(pixels[beyond], before[beyond])
    assert not (resized & beyond).any()
    assert not np.array_equal(pixels, before)


def test_factor_of_one_keeps_the_picture_to_within_rounding():
    disc, cup = circle(60, 70, 40), circle(60, 72, 20)
    pixels, resized = resize_cup(eye(cup), disc, cup, 1)
    assert np.abs(pixels.astype(int) - eye(cup)).max() <= 1
    assert (resized ^ cup).sum() < 0.06 * cup.sum()


def test_cup_leaves_a_rim_however_large_it_becomes():
    disc, cup = circle(60, 70, 40), circle(60, 70, 30)
    _, resized = resize_cup(eye(cup), disc, cup, 10)
    assert height(resized) == pytest.approx(0.95 * height(disc), abs=2)


def test_cup_that_reaches_the_border_of_the_disc_can_be_made_smaller():
    disc = circle(60, 70, 40)
    cup = disc & (COLUMNS > 60)
    pixels, resized = resize_cup(eye(cup), disc, cup, 0.5)
    assert 0.15 < resized.sum() / cup.sum() < 0.35
    assert np.isfinite(pixels.astype(float)).all()


def test_drawn_eye_gets_the_ratio_that_was_asked_for():
    fundus = draw_fundus(7, SyntheticSettings(size=512, view="disc", cup_to_disc=0.7))
    disc, cup = fundus.masks["disc"], fundus.masks["cup"]
    _, resized = resize_cup(fundus.image, disc, cup, 0.4 / 0.7)
    assert height(resized) / height(disc) == pytest.approx(0.4, abs=0.04)


@pytest.mark.parametrize(
    ("disc", "cup", "factor", "message"),
    [
        (circle(60, 70, 40), np.zeros((5, 5), bool), 0.5, "one image"),
        (circle(60, 70, 40), circle(60, 70, 20), 0.0, "above 0"),
        (circle(60, 70, 40), circle(60, 70, 20), float("nan"), "above 0"),
        (circle(60, 70, 40), np.zeros(SHAPE, bool), 0.5, "there is no cup"),
        (circle(60, 70, 10), circle(20, 20, 8), 0.5, "within cup and disc"),
    ],
)
def test_what_cannot_be_resized_is_refused(disc, cup, factor, message):
    with pytest.raises(GeometryError, match=message):
        resize_cup(np.zeros((*SHAPE, 3), np.uint8), disc, cup, factor)
