"""Corrupted masks have all kinds of errors, but still overlap with the structure."""

import numpy as np
import pytest

from sam2lora.prompts.mask_corruption import corrupt

ROWS, COLUMNS = np.ogrid[:128, :128]
DISC = (COLUMNS - 60) ** 2 + (ROWS - 70) ** 2 <= 20**2
VESSEL = np.abs(ROWS - 40 - 10 * np.sin(COLUMNS / 20)) <= 1.5


def corrupted_masks(mask: np.ndarray, count: int = 200) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [corrupt(mask, rng) for _ in range(count)]


@pytest.mark.parametrize("mask", [DISC, VESSEL], ids=["disc", "vessel"])
def test_corrupted_masks_have_false_and_missed_pixels_but_overlap(mask: np.ndarray) -> None:
    corrupted = corrupted_masks(mask)
    overlaps = np.array([(mask & other).sum() / (mask | other).sum() for other in corrupted])
    missed = [(mask & ~other).any() for other in corrupted]
    added = [(other & ~mask).any() for other in corrupted]
    assert np.mean(missed) > 0.4
    assert np.mean(added) > 0.4
    assert 0.02 < np.mean(overlaps == 1) < 0.2
    assert 0.45 < np.median(overlaps) < 0.95


def test_size_of_errors_depends_on_the_thickness() -> None:
    def beyond(mask: np.ndarray, steps: int) -> float:
        # No further than this from the mask, unless a part was added.
        reach = np.zeros_like(mask)
        for down in range(-steps, steps + 1):
            for right in range(-steps, steps + 1):
                reach |= np.roll(mask, (down, right), (0, 1))
        return float(np.mean([(other & ~reach).any() for other in corrupted_masks(mask)]))

    assert beyond(VESSEL, 2) < 0.6
    assert beyond(DISC, 2) > 0.6


def test_mask_is_not_modified_and_the_seed_is_reproducible() -> None:
    before = VESSEL.copy()
    first, second = corrupted_masks(VESSEL, 20), corrupted_masks(VESSEL, 20)
    assert np.array_equal(VESSEL, before)
    assert all(map(np.array_equal, first, second))
    assert not all(map(np.array_equal, first, first[1:]))


@pytest.mark.parametrize("mask", [np.eye(1, dtype=bool), np.eye(5, dtype=bool), np.ones((7, 9))])
def test_tiny_and_full_masks_are_corrupted(mask: np.ndarray) -> None:
    for corrupted in corrupted_masks(mask.astype(bool), 60):
        assert corrupted.shape == mask.shape
        assert corrupted.dtype == bool
