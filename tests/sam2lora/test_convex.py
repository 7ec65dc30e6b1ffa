"""Answers get the form of a disc at every threshold."""

import numpy as np
import pytest
from skimage.morphology import convex_hull_image

from sam2lora.convex import LEVELS, convex_envelope

NO_POINTS = np.zeros((0, 2))


def hill(
    center: tuple[float, float] = (40, 32), radius: float = 18, height: float = 4, side: int = 96
) -> np.ndarray:
    """Draw logits that fall from a center (x, y) and are 0 at a radius."""
    rows, columns = np.ogrid[:side, :side]
    distance = np.hypot(columns - center[0], rows - center[1])
    return (height * (1 - distance / radius)).clip(-6).astype(np.float32)


def cut(logits: np.ndarray, level: float) -> np.ndarray:
    return logits >= np.float32(np.log(level / (1 - level)))


@pytest.mark.parametrize("level", LEVELS[1:])
def test_a_dent_a_hole_and_a_crumb_are_mended_at_each_threshold(level: float) -> None:
    whole = hill()
    logits = np.maximum(whole, hill(center=(85, 85), radius=8, height=2))
    logits[31:34, 40:] = -5  # a vessel across the border
    logits[25, 35] = -5
    formed = cut(convex_envelope(logits, NO_POINTS, NO_POINTS), level)
    expected = cut(whole, level)
    assert not formed[70:, 70:].any()
    assert formed[25, 35] == expected[25, 35]
    # Cut off at the border, the hull loses a little; it never goes beyond.
    assert not (formed & ~expected).any()
    assert formed.sum() > 0.95 * expected.sum() - 4


def test_a_convex_answer_stays_as_it_is() -> None:
    logits = hill()
    formed = convex_envelope(logits, NO_POINTS, NO_POINTS)
    for level in LEVELS:
        np.testing.assert_array_equal(cut(formed, level), cut(logits, level))
    above = logits >= formed.min()
    np.testing.assert_allclose(formed[above], logits[above], atol=0.6)  # a step between levels


def test_the_form_is_the_convex_hull_of_the_largest_part() -> None:
    rng = np.random.default_rng(0)
    logits = hill() + rng.normal(0, 1, (96, 96)).astype(np.float32)
    formed = cut(convex_envelope(logits, NO_POINTS, NO_POINTS), 0.5)
    hull = convex_hull_image(formed, offset_coordinates=False)
    assert (hull & ~formed).sum() < 0.02 * formed.sum()


def test_a_point_on_the_target_says_which_part() -> None:
    large, small = hill(), hill(center=(80, 80), radius=8, height=2)
    logits = np.maximum(large, small)
    formed = cut(convex_envelope(logits, np.array([(80.0, 80.0)]), NO_POINTS), 0.5)
    np.testing.assert_array_equal(formed, cut(small, 0.5))
    both = np.array([(80.0, 80.0), (40.0, 32.0)])
    formed = cut(convex_envelope(logits, both, NO_POINTS), 0.5)
    assert (cut(logits, 0.5) & ~formed).sum() == 0
    assert formed[58, 62]  # between them


def test_a_point_off_the_target_keeps_its_dent() -> None:
    logits = hill()
    logits[31:34, 45:] = -5
    dent = np.array([(50.0, 32.0)])
    assert not cut(convex_envelope(logits, NO_POINTS, dent), 0.5)[32, 50]
    assert cut(convex_envelope(logits, NO_POINTS, NO_POINTS), 0.5)[32, 50]
    elsewhere = np.array([(90.0, 90.0), (500.0, -3.0)])
    assert cut(convex_envelope(logits, NO_POINTS, elsewhere), 0.5)[32, 50]


@pytest.mark.parametrize("pixels", [[], [(5, 5)], [(5, 5), (5, 6)], [(5, 5), (6, 6), (7, 7)]])
def test_next_to_nothing_stays_what_it_is(pixels: list[tuple[int, int]]) -> None:
    logits = np.full((16, 16), -6, dtype=np.float32)
    for pixel in pixels:
        logits[pixel] = 3
    formed = convex_envelope(logits, NO_POINTS, NO_POINTS)
    assert {tuple(map(int, one)) for one in np.argwhere(cut(formed, 0.5))} == {
        pixel for pixel in pixels if pixels != [(5, 5), (6, 6), (7, 7)] or pixel == (5, 5)
    }
