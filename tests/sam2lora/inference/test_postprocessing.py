"""Answers get the form of a disc at every threshold."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import convex_hull_image

from sam2lora.inference.postprocessing import convex_envelope

NOWHERE = np.zeros((0, 2))
THRESHOLDS = (0.1, 0.42, 0.5, 0.51, 0.53, 0.7, 0.88)


def hill(
    center: tuple[float, float] = (40, 32), radius: float = 18, height: float = 4, side: int = 96
) -> np.ndarray:
    """Draw logits that fall from a center (x, y) and are 0 at a radius."""
    rows, columns = np.ogrid[:side, :side]
    distance = np.hypot(columns - center[0], rows - center[1])
    return (height * (1 - distance / radius)).clip(-6).astype(np.float32)


def formed(
    logits: np.ndarray,
    *,
    on: tuple[tuple[float, float], ...] = (),
    off: tuple[tuple[float, float], ...] = (),
    valid: np.ndarray | None = None,
    within: np.ndarray | None = None,
) -> np.ndarray:
    everywhere = np.ones(logits.shape, dtype=bool)
    points = (np.array(some, dtype=float).reshape(-1, 2) for some in (on, off))
    return convex_envelope(
        logits, *points, valid=everywhere if valid is None else valid, within=within
    )


def cut(logits: np.ndarray, threshold: float) -> np.ndarray:
    return logits >= np.float32(np.log(threshold / (1 - threshold)))


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_dent_a_hole_and_a_crumb_are_mended_at_each_threshold(threshold: float) -> None:
    whole = hill()
    logits = np.maximum(whole, hill(center=(85, 85), radius=8, height=2))
    logits[31:34, 40:] = -5  # a vessel across the border
    logits[25, 35] = -5
    answer, expected = cut(formed(logits), threshold), cut(whole, threshold)
    assert not answer[70:, 70:].any()
    assert answer[25, 35] == expected[25, 35]
    assert (answer ^ expected).sum() < 0.1 * expected.sum() + 4


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_the_form_is_one_convex_part_at_each_threshold(threshold: float) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (96, 96)).astype(np.float32)
    plain, answer = (cut(one, threshold) for one in (hill() + noise, formed(hill() + noise)))
    assert ndimage.label(plain)[1] > 3
    assert ndimage.label(answer)[1] == 1
    hull = convex_hull_image(answer, offset_coordinates=False)
    assert (hull & ~answer).sum() <= 0.04 * answer.sum() + 3


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_a_convex_answer_stays_as_it_is(threshold: float) -> None:
    answer, expected = cut(formed(hill()), threshold), cut(hill(), threshold)
    grown = ndimage.binary_dilation(expected)
    shrunk = ndimage.binary_erosion(expected)
    assert not (answer & ~grown).any()
    assert not (shrunk & ~answer).any()


def test_a_point_on_the_target_says_which_part() -> None:
    large, small = hill(), hill(center=(80, 80), radius=8, height=2)
    logits = np.maximum(large, small)
    answer = cut(formed(logits, on=((80.0, 80.0),)), 0.5)
    np.testing.assert_array_equal(answer, cut(small, 0.5))
    answer = cut(formed(logits, on=((80.0, 80.0), (40.0, 32.0))), 0.5)
    assert not (cut(logits, 0.5) & ~answer).any()
    assert answer[58, 62]  # between them


@pytest.mark.parametrize("x", [57.0, 59.0, 75.0, 95.0])
def test_a_point_that_the_network_does_not_follow_takes_nothing_away(x: float) -> None:
    plain = formed(hill())
    for threshold in THRESHOLDS:
        asked = cut(formed(hill(), on=((x, 32.0),)), threshold)
        np.testing.assert_array_equal(asked, cut(plain, threshold))


def test_a_box_says_which_part() -> None:
    small = hill(center=(80, 80), radius=8, height=2)
    logits = np.maximum(hill(), small)
    box = np.zeros(logits.shape, dtype=bool)
    box[70:90, 70:90] = True
    np.testing.assert_array_equal(cut(formed(logits, within=box), 0.5), cut(small, 0.5))
    nothing = formed(logits, within=np.zeros_like(box))
    np.testing.assert_array_equal(nothing, formed(logits))


def test_what_is_outside_the_field_is_no_part() -> None:
    small = hill(center=(80, 80), radius=8, height=2)
    valid = np.zeros(small.shape, dtype=bool)
    valid[60:, 60:] = True
    answer = cut(formed(np.maximum(hill(), small), valid=valid), 0.5) & valid
    np.testing.assert_array_equal(answer, cut(small, 0.5))


def test_a_point_off_the_target_keeps_its_dent() -> None:
    logits = hill()
    logits[31:34, 45:] = -5
    assert cut(formed(logits), 0.5)[32, 50]
    assert not cut(formed(logits, off=((50.0, 32.0),)), 0.5)[32, 50]
    assert cut(formed(logits, off=((90.0, 90.0), (500.0, -3.0))), 0.5)[32, 50]


@pytest.mark.parametrize("pixels", [[], [(5, 5)], [(5, 5), (5, 6)], [(5, 5), (6, 6), (7, 7)]])
def test_next_to_nothing_stays_what_it_is(pixels: list[tuple[int, int]]) -> None:
    logits = np.full((16, 16), -6, dtype=np.float32)
    for pixel in pixels:
        logits[pixel] = 3
    np.testing.assert_array_equal(cut(formed(logits), 0.5), cut(logits, 0.5))


@pytest.mark.parametrize("value", [-8.0, 0.0, 9.0])
def test_an_even_answer_is_all_or_nothing(value: float) -> None:
    logits = np.full((16, 16), value, dtype=np.float32)
    np.testing.assert_array_equal(cut(formed(logits), 0.5), cut(logits, 0.5))


def test_numbers_that_are_none_come_back_for_others_to_report() -> None:
    logits = hill()
    logits[3, 3] = np.nan
    np.testing.assert_array_equal(formed(logits), logits)
