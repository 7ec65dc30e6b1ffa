"""All metrics at once, pooled and summarized; undefined values are never dropped silently."""

import warnings
from math import isnan, nan

import numpy as np
import pytest

from sam2lora.errors import GeometryError
from sam2lora.metrics import segmentation as metrics
from sam2lora.metrics.aggregate import MetricSummary, pooled, score, score_mask, summarize
from sam2lora.metrics.segmentation import Counts

ROWS, COLUMNS = np.ogrid[:60, :80]
REFERENCE = np.hypot(ROWS - 30, COLUMNS - 40) <= 12
VALID = np.hypot(ROWS - 30, COLUMNS - 40) <= 28
PROBABILITIES = (1 / (1 + np.hypot(ROWS - 33, COLUMNS - 40) / 14)).astype(np.float32)
EMPTY = np.zeros_like(REFERENCE)


def test_a_score_holds_every_metric() -> None:
    mask = PROBABILITIES >= 0.6
    only_valid = {"valid": VALID}
    scaled = {"valid": VALID, "spacing": (0.02, 0.01)}
    found = score(PROBABILITIES, REFERENCE, threshold=0.6, **scaled)
    assert found == {
        "dice": metrics.dice(mask, REFERENCE, **only_valid),
        "iou": metrics.iou(mask, REFERENCE, **only_valid),
        "sensitivity": metrics.sensitivity(mask, REFERENCE, **only_valid),
        "specificity": metrics.specificity(mask, REFERENCE, **only_valid),
        "auc": metrics.auc(PROBABILITIES, REFERENCE, **only_valid),
        "cldice": metrics.cldice(mask, REFERENCE, **only_valid),
        "hd95": metrics.hd95(mask, REFERENCE, **scaled),
        "assd": metrics.assd(mask, REFERENCE, **scaled),
    }
    assert all(type(value) is float for value in found.values())
    assert len(set(found.values())) == 8


def test_a_mask_scores_as_its_probabilities_but_for_auc() -> None:
    of_mask = score_mask(PROBABILITIES >= 0.5, REFERENCE, valid=VALID)
    of_both = score(PROBABILITIES, REFERENCE, valid=VALID)
    assert isnan(of_mask.pop("auc"))
    assert 0 < of_both.pop("auc") < 1
    assert of_mask == of_both


def test_the_threshold_belongs_to_the_mask() -> None:
    values = np.where(REFERENCE, np.float32(0.7), np.float32(0.2))
    assert score(values, REFERENCE, threshold=0.7)["dice"] == 1
    assert score(values, REFERENCE, threshold=0.71)["dice"] == 0


def test_empty_prediction_of_an_empty_reference_scores_one() -> None:
    found = score(np.zeros(EMPTY.shape, np.float32), EMPTY, valid=VALID)
    assert (found["dice"], found["iou"], found["cldice"], found["specificity"]) == (1, 1, 1, 1)
    assert all(isnan(found[name]) for name in ("sensitivity", "auc", "hd95", "assd"))


def test_invalid_arrays_are_refused() -> None:
    with pytest.raises(GeometryError, match="Probabilities must be float"):
        score(REFERENCE, REFERENCE)
    with pytest.raises(GeometryError, match="The masks must be"):
        score_mask(PROBABILITIES, REFERENCE)
    with pytest.raises(ValueError, match="NaN"):
        score(np.full(REFERENCE.shape, np.nan), REFERENCE)


def test_pooled_metrics_equal_those_of_one_large_image() -> None:
    pairs = [
        (PROBABILITIES >= 0.4, REFERENCE),
        (PROBABILITIES >= 0.7, REFERENCE),
        (REFERENCE, VALID),
    ]
    found = pooled(metrics.count(*pair, valid=VALID) for pair in pairs)
    prediction, reference = (np.concatenate(side) for side in zip(*pairs, strict=True))
    valid = np.concatenate([VALID] * 3)
    assert found == {
        "dice": metrics.dice(prediction, reference, valid=valid),
        "iou": metrics.iou(prediction, reference, valid=valid),
        "sensitivity": metrics.sensitivity(prediction, reference, valid=valid),
        "specificity": metrics.specificity(prediction, reference, valid=valid),
    }
    assert pooled([Counts(tp=1, fn=1), Counts(tp=99, fp=1)])["dice"] == pytest.approx(200 / 202)
    assert all(isnan(value) for value in pooled([]).values())


def test_undefined_values_are_counted() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = summarize(
            [
                {"dice": 0.5, "hd95": nan, "auc": nan},
                {"dice": 0.7, "hd95": 3.0, "auc": nan},
                {"dice": 0.9, "hd95": nan, "auc": nan},
            ]
        )
    assert found["dice"] == MetricSummary(pytest.approx(0.7), pytest.approx(0.2), n=3, undefined=0)
    assert found["hd95"].mean == 3
    assert isnan(found["hd95"].std)
    assert (found["hd95"].n, found["hd95"].undefined) == (1, 2)
    assert isnan(found["auc"].mean)
    assert (found["auc"].n, found["auc"].undefined) == (0, 3)


def test_missing_metric_of_an_image_is_an_error() -> None:
    assert summarize([]) == {}
    for scores in ([{"dice": 1.0}, {"dice": 1.0, "auc": 0.9}], [{"dice": 1.0, "auc": 0.9}, {}]):
        with pytest.raises(ValueError, match=r"no value for .*auc"):
            summarize(scores)
