"""Judging one answer, and the curves: equal to cutting at each threshold one by one."""

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
VIEW = prepare_case(make_case(reference=square(4, 20, 30)), VESSEL, LITERATURE)
RNG = np.random.default_rng(0)
NOISE = RNG.random((SIDE, SIDE), dtype=np.float32)
GUESS = np.clip(0.5 * NOISE + 0.3 * VIEW.reference, 0, 1).astype(np.float32)
ROUND = np.round(GUESS, 2)  # probabilities that lie exactly on thresholds
NOTHING = prepare_case(make_case(reference=np.zeros((SIDE, SIDE), bool)), VESSEL, LITERATURE)


def test_everything_counts_inside_the_field_only() -> None:
    judged = score_probabilities(GUESS, VIEW, 0.4)
    assert judged.scores == score(GUESS, VIEW.reference, valid=INSIDE, threshold=0.4)
    assert judged.counts == count(GUESS >= 0.4, VIEW.reference, valid=INSIDE)
    outside = np.where(INSIDE, GUESS, 1 - GUESS).astype(np.float32)
    assert score_probabilities(outside, VIEW, 0.4).scores == judged.scores


def test_a_mask_has_the_scores_of_a_certain_answer_but_no_roc() -> None:
    mask = square(10, 20, 30)
    judged, certain = (
        score_binary_mask(mask, VIEW),
        score_probabilities(mask.astype(np.float32), VIEW, 0.5),
    )
    assert judged.curve is None
    assert np.isnan(judged.scores["auc"])
    assert judged.counts == certain.counts
    assert judged.scores["dice"] == certain.scores["dice"]


@pytest.mark.parametrize("probabilities", [GUESS, ROUND, np.zeros_like(GUESS), np.ones_like(GUESS)])
def test_a_sweep_is_what_each_threshold_gives(probabilities: np.ndarray) -> None:
    curve = ThresholdCurve.of(probabilities, VIEW)
    for threshold in THRESHOLDS:
        mask = probabilities >= threshold
        assert curve.dice(threshold) == count(mask, VIEW.reference, valid=INSIDE).dice


def test_the_sweep_of_several_images_is_the_mean_of_theirs() -> None:
    first, second = ThresholdCurve.of(GUESS, VIEW), ThresholdCurve.of(NOISE, VIEW)
    at = THRESHOLDS.index(0.4)
    expected = (first.dice(0.4) + second.dice(0.4)) / 2
    assert sweep([first, second])[at] == pytest.approx(expected)


def test_where_nothing_is_a_sweep_is_0_until_nothing_is_found() -> None:
    dice = sweep([ThresholdCurve.of(np.full((SIDE, SIDE), 0.5, np.float32), NOTHING)])
    assert dice[THRESHOLDS.index(0.5)] == 0
    assert dice[THRESHOLDS.index(0.51)] == 1


def test_the_roc_curve_has_the_area_that_is_reported() -> None:
    false, true = roc([ThresholdCurve.of(GUESS, VIEW)])
    assert (false[0], true[0]) == (0, 0)
    assert (false[-1], true[-1]) == (1, 1)
    assert np.trapezoid(true, false) == pytest.approx(
        auc(GUESS, VIEW.reference, valid=INSIDE), abs=2e-3
    )


def test_the_roc_curve_is_fine_where_probabilities_crowd() -> None:
    """Nearly all pixels of a vessel answer are near 0: steps of 0.01 would draw a straight line."""
    crowded = (GUESS**8 * 1e-2).astype(np.float32)
    false, true = roc([ThresholdCurve.of(crowded, VIEW)])
    assert np.trapezoid(true, false) == pytest.approx(
        auc(crowded, VIEW.reference, valid=INSIDE), abs=2e-2
    )


def test_the_roc_curve_of_several_images_is_over_all_their_pixels() -> None:
    curves = [ThresholdCurve.of(GUESS, VIEW), ThresholdCurve.of(NOISE, NOTHING)]
    false, _ = roc(curves)
    negatives = sum(int(curve.fp[0]) for curve in curves)
    at = int(np.searchsorted(curves[0].levels, np.float32(0.4)))
    reaching = sum(int(curve.fp[at]) for curve in curves)
    assert reaching / negatives in false


def test_without_target_or_images_there_is_no_roc_curve() -> None:
    assert roc([ThresholdCurve.of(NOISE, NOTHING)]) == ([], [])
    assert roc([]) == ([], [])
