"""Resizing the cup of a disc."""

import numpy as np
import pytest

from sam2lora.errors import GeometryError
from sam2lora.synthetic import SyntheticSettings, draw_fundus, resize_cup

SHAPE = (120, 140)
ROWS, COLUMNS = np.mgrid[: SHAPE[0], : SHAPE[1]]


def circle(row, column, radius):
    return np.hypot(ROWS - row, COLUMNS - column) <= radius


def tilted_oval(size):
    """Return an off-center oval with axes of 26 and 14 pixels times `size`."""
    right, down = COLUMNS - 76, ROWS - 56
    along = right * np.cos(0.5) + down * np.sin(0.5)
    across = down * np.cos(0.5) - right * np.sin(0.5)
    return np.hypot(along / 26, across / 14) <= size


def dice(mask, other):
    return 2 * (mask & other).sum() / (mask.sum() + other.sum())


def height(mask):
    return int(np.ptp(np.nonzero(mask.any(axis=1))[0])) + 1


def eye(cup):
    """Draw a disc of radius 40 with a bright cup on a striped background."""
    pixels = np.zeros((*SHAPE, 3), dtype=np.uint8)
    pixels[..., 0] = 90 + 20 * (COLUMNS // 8 % 2)
    pixels[circle(60, 70, 40)] = (150, 80, 40)
    pixels[cup] = (240, 210, 150)
    return pixels


@pytest.mark.parametrize("factor", [0.4, 0.6, 0.8, 1.0, 1.3])
def test_cup_is_scaled_by_the_factor_and_keeps_its_shape(factor):
    disc, cup = circle(60, 70, 40), circle(60, 70, 24)
    _, resized = resize_cup(eye(cup), disc, cup, factor)
    expected = circle(60, 70, 24 * factor)
    assert dice(resized, expected) > 0.97


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.2])
def test_irregular_cup_is_scaled_in_every_direction(factor):
    cup = tilted_oval(1)
    pixels, resized = resize_cup(eye(cup), circle(60, 70, 40), cup, factor)
    assert dice(resized, tilted_oval(factor)) > 0.97
    assert dice(pixels[..., 1] > 145, tilted_oval(factor)) > 0.95  # halfway from rim to cup


@pytest.mark.parametrize("factor", [0.5, 1.3])
def test_image_shows_the_cup_at_its_mask(factor):
    disc, cup = circle(60, 70, 40), circle(63, 66, 24)
    pixels, resized = resize_cup(eye(cup), disc, cup, factor)
    bright = pixels[..., 1] > 145  # halfway from rim to cup
    assert dice(resized, bright) > 0.96


def test_nothing_changes_outside_of_the_disc():
    disc, cup = circle(60, 70, 40), circle(62, 72, 30)
    before = eye(cup)
    kept = before.copy()
    pixels, resized = resize_cup(before, disc, cup, 0.5)
    assert np.array_equal(before, kept)
    assert np.array_equal(pixels[~disc], before[~disc])
    assert not (resized & ~disc).any()
    assert not np.array_equal(pixels, before)


def test_factor_of_one_keeps_the_image_within_rounding():
    disc, cup = circle(60, 70, 40), circle(60, 72, 20)
    pixels, resized = resize_cup(eye(cup), disc, cup, 1)
    assert np.abs(pixels.astype(int) - eye(cup)).max() <= 1
    assert (resized ^ cup).sum() < 0.06 * cup.sum()


def test_large_factor_leaves_a_rim():
    disc, cup = circle(60, 70, 40), circle(60, 70, 30)
    _, resized = resize_cup(eye(cup), disc, cup, 10)
    assert height(resized) == pytest.approx(0.95 * height(disc), abs=2)


def test_cup_that_reaches_the_border_of_the_disc_can_shrink():
    disc = circle(60, 70, 40)
    cup = disc & (COLUMNS > 60)
    _, resized = resize_cup(eye(cup), disc, cup, 0.5)
    assert 0.15 < resized.sum() / cup.sum() < 0.35


def test_resized_cup_is_inside_the_disc():
    disc = circle(60, 70, 30)
    _, resized = resize_cup(eye(disc), disc, circle(60, 80, 26), 0.5)
    assert resized.any()
    assert not (resized & ~disc).any()


@pytest.mark.parametrize(("row", "column"), [(60, 20), (60, 120), (20, 70), (100, 70)])
def test_disc_cropped_by_the_image_gets_no_dark_edge(row, column):
    disc, cup = circle(row, column, 40), circle(row, column, 15)
    pixels, _ = resize_cup(np.full((*SHAPE, 3), 200, np.uint8), disc, cup, 1.8)
    assert pixels.min() == 200


def test_second_part_of_a_mask_is_ignored():
    disc, cup = circle(60, 40, 25), circle(60, 40, 15)
    two_parts = disc | circle(60, 100, 10)
    alone = resize_cup(eye(cup), disc, cup, 0.6)
    together = resize_cup(eye(cup), two_parts, cup, 0.6)
    assert all(np.array_equal(*pair) for pair in zip(alone, together, strict=True))


def test_synthetic_eye_gets_the_requested_ratio():
    fundus = draw_fundus(7, SyntheticSettings(size=512, view="disc", cup_to_disc=0.7))
    disc, cup = fundus.masks["disc"], fundus.masks["cup"]
    _, resized = resize_cup(fundus.image, disc, cup, 0.4 / 0.7)
    assert height(resized) / height(disc) == pytest.approx(0.4, abs=0.04)


def test_grey_image_is_refused():
    disc, cup = circle(60, 70, 40), circle(60, 70, 20)
    with pytest.raises(GeometryError, match="one image"):
        resize_cup(np.zeros(SHAPE, np.uint8), disc, cup, 0.5)


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
def test_invalid_masks_and_factors_are_refused(disc, cup, factor, message):
    with pytest.raises(GeometryError, match=message):
        resize_cup(np.zeros((*SHAPE, 3), np.uint8), disc, cup, factor)
