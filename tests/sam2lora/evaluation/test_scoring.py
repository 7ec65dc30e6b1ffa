"""Scores of one prediction, and curves that equal scoring at each threshold separately."""

import numpy as np
import pytest

from sam2lora.evaluation import PROTOCOLS
from sam2lora.evaluation.cases import prepare_case
from sam2lora.evaluation.scoring import (
    THRESHOLDS,
    ThresholdCurve,
    roc,
    score_binary_mask,
    score_probabilities,
    sweep,
)
from sam2lora.metrics.aggregate import score
from sam2lora.metrics.segmentation import auc, count

from .conftest import INSIDE, SIDE, VESSEL, make_case, square

LITERATURE = PROTOCOLS["literature"]
CASE = prepare_case(make_case(reference=square(4, 20, 30)), VESSEL, LITERATURE)
RNG = np.random.default_rng(0)
NOISE = RNG.random((SIDE, SIDE), dtype=np.float32)
GUESS = np.clip(0.5 * NOISE + 0.3 * CASE.reference, 0, 1).astype(np.float32)
ROUND = np.round(GUESS, 2)  # probabilities that lie exactly on thresholds
EMPTY = prepare_case(make_case(reference=np.zeros((SIDE, SIDE), bool)), VESSEL, LITERATURE)


def test_only_pixels_inside_the_field_count() -> None:
    result = score_probabilities(GUESS, CASE, 0.4)
    assert result.scores == score(GUESS, CASE.reference, valid=INSIDE, threshold=0.4)
    assert result.counts == count(GUESS >= 0.4, CASE.reference, valid=INSIDE)
    outside = np.where(INSIDE, GUESS, 1 - GUESS).astype(np.float32)
    assert score_probabilities(outside, CASE, 0.4).scores == result.scores


def test_mask_scores_like_certain_probabilities_without_roc() -> None:
    mask = square(10, 20, 30)
    result, certain = (
        score_binary_mask(mask, CASE),
        score_probabilities(mask.astype(np.float32), CASE, 0.5),
    )
    assert result.curve is None
    assert np.isnan(result.scores["auc"])
    assert result.counts == certain.counts
    assert result.scores["dice"] == certain.scores["dice"]


@pytest.mark.parametrize("probabilities", [GUESS, ROUND, np.zeros_like(GUESS), np.ones_like(GUESS)])
def test_threshold_curve_equals_dice_at_each_threshold(probabilities: np.ndarray) -> None:
    curve = ThresholdCurve.of(probabilities, CASE)
    for threshold in THRESHOLDS:
        mask = probabilities >= threshold
        assert curve.dice(threshold) == count(mask, CASE.reference, valid=INSIDE).dice


def test_sweep_of_several_images_is_their_mean() -> None:
    first, second = ThresholdCurve.of(GUESS, CASE), ThresholdCurve.of(NOISE, CASE)
    index = THRESHOLDS.index(0.4)
    expected = (first.dice(0.4) + second.dice(0.4)) / 2
    assert sweep([first, second])[index] == pytest.approx(expected)


def test_sweep_without_target_is_0_until_nothing_is_found() -> None:
    dice = sweep([ThresholdCurve.of(np.full((SIDE, SIDE), 0.5, np.float32), EMPTY)])
    assert dice[THRESHOLDS.index(0.5)] == 0
    assert dice[THRESHOLDS.index(0.51)] == 1


def test_area_under_roc_curve_equals_auc() -> None:
    false, true = roc([ThresholdCurve.of(GUESS, CASE)])
    assert (false[0], true[0]) == (0, 0)
    assert (false[-1], true[-1]) == (1, 1)
    assert np.trapezoid(true, false) == pytest.approx(
        auc(GUESS, CASE.reference, valid=INSIDE), abs=2e-3
    )


def test_roc_curve_resolves_probabilities_near_zero() -> None:
    """Most vessel probabilities are near 0, where steps of 0.01 would give a straight line."""
    small = (GUESS**8 * 1e-2).astype(np.float32)
    false, true = roc([ThresholdCurve.of(small, CASE)])
    assert np.trapezoid(true, false) == pytest.approx(
        auc(small, CASE.reference, valid=INSIDE), abs=2e-2
    )


def test_roc_curve_of_several_images_pools_their_pixels() -> None:
    curves = [ThresholdCurve.of(GUESS, CASE), ThresholdCurve.of(NOISE, EMPTY)]
    false, _ = roc(curves)
    negatives = sum(int(curve.fp[0]) for curve in curves)
    index = int(np.searchsorted(curves[0].levels, np.float32(0.4)))
    reaching = sum(int(curve.fp[index]) for curve in curves)
    assert reaching / negatives in false


def test_no_roc_curve_without_target_or_images() -> None:
    assert roc([ThresholdCurve.of(NOISE, EMPTY)]) == ([], [])
    assert roc([]) == ([], [])
