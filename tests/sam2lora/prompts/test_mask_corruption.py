"""Wrong answers made of right ones: wrong in every way, but still about the same thing."""

import numpy as np
import pytest

from sam2lora.prompts.mask_corruption import corrupt

ROWS, COLUMNS = np.ogrid[:128, :128]
DISC = (COLUMNS - 60) ** 2 + (ROWS - 70) ** 2 <= 20**2
VESSEL = np.abs(ROWS - 40 - 10 * np.sin(COLUMNS / 20)) <= 1.5


def answers(mask: np.ndarray, count: int = 200) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [corrupt(mask, rng) for _ in range(count)]


@pytest.mark.parametrize("mask", [DISC, VESSEL], ids=["disc", "vessel"])
def test_answers_are_wrong_on_both_sides_and_alike(mask: np.ndarray) -> None:
    drawn = answers(mask)
    overlaps = np.array([(mask & one).sum() / (mask | one).sum() for one in drawn])
    missed = [(mask & ~one).any() for one in drawn]
    added = [(one & ~mask).any() for one in drawn]
    assert np.mean(missed) > 0.4
    assert np.mean(added) > 0.4
    assert 0.02 < np.mean(overlaps == 1) < 0.2
    assert 0.45 < np.median(overlaps) < 0.95


def test_how_far_follows_from_the_thickness() -> None:
    def beyond(mask: np.ndarray, steps: int) -> float:
        # No further than this from the truth, unless a part was added.
        reach = np.zeros_like(mask)
        for down in range(-steps, steps + 1):
            for right in range(-steps, steps + 1):
                reach |= np.roll(mask, (down, right), (0, 1))
        return float(np.mean([(one & ~reach).any() for one in answers(mask)]))

    assert beyond(VESSEL, 2) < 0.6
    assert beyond(DISC, 2) > 0.6


def test_the_truth_is_left_as_it_is_and_one_seed_repeats() -> None:
    before = VESSEL.copy()
    first, second = answers(VESSEL, 20), answers(VESSEL, 20)
    assert np.array_equal(VESSEL, before)
    assert all(map(np.array_equal, first, second))
    assert not all(map(np.array_equal, first, first[1:]))


@pytest.mark.parametrize("mask", [np.eye(1, dtype=bool), np.eye(5, dtype=bool), np.ones((7, 9))])
def test_tiny_and_full_masks_pass(mask: np.ndarray) -> None:
    for one in answers(mask.astype(bool), 60):
        assert one.shape == mask.shape
        assert one.dtype == bool
