"""Cohen's kappa as in torchmetrics, and limits of agreement as in the article."""

import math

import numpy as np
import pytest

from sam2lora.metrics.rater_agreement import cohens_kappa, limits_of_agreement, pixel_kappa
from sam2lora.metrics.segmentation import count


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_kappa_is_that_of_torchmetrics(classes: int) -> None:
    import torch
    from torchmetrics.functional.classification import multiclass_cohen_kappa

    rng = np.random.default_rng(classes)
    first = rng.integers(0, classes, 500)
    second = np.where(rng.random(500) < 0.6, first, rng.integers(0, classes, 500))
    table = np.zeros((classes, classes), np.int64)
    np.add.at(table, (first, second), 1)
    expected = multiclass_cohen_kappa(torch.tensor(first), torch.tensor(second), classes)
    assert cohens_kappa(table) == pytest.approx(float(expected), abs=1e-5)


def test_kappa_of_pixels_and_where_it_is_undefined() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 30, 30)) < 0.3
    table = np.array(
        [
            [(first & second).sum(), (first & ~second).sum()],
            [(~first & second).sum(), (~first & ~second).sum()],
        ]
    )
    assert pixel_kappa(count(first, second)) == pytest.approx(cohens_kappa(table))
    assert pixel_kappa(count(first, first)) == 1
    assert math.isnan(pixel_kappa(count(first & False, first & False)))
    assert math.isnan(cohens_kappa(np.zeros((3, 3), np.int64)))


def test_limits_of_agreement_of_known_differences() -> None:
    # Differences −1, 0, 1, 2: mean 0.5, standard deviation √(5/3); t(0.975, 3) = 3.18245.
    found = limits_of_agreement([1.0, 2.0, 3.0, 4.0], [2.0, 2.0, 2.0, 2.0])
    sd = math.sqrt(5 / 3)
    assert (found.n, found.bias) == (4, 0.5)
    assert found.sd == pytest.approx(sd)
    assert found.upper == pytest.approx(0.5 + 1.96 * sd)
    assert found.lower == pytest.approx(0.5 - 1.96 * sd)
    assert found.bias_interval[1] == pytest.approx(0.5 + 3.18245 * sd / 2, abs=1e-4)
    half = 3.18245 * sd * math.sqrt(1 / 4 + 1.96**2 / 6)
    assert found.upper_interval == pytest.approx((found.upper - half, found.upper + half), abs=1e-4)
    assert found.lower_interval == pytest.approx((found.lower - half, found.lower + half), abs=1e-4)


def test_limits_of_too_few_pairs_are_undefined() -> None:
    assert math.isnan(limits_of_agreement([], []).bias)
    one = limits_of_agreement([2.0], [1.0])
    assert one.bias == 1
    assert math.isnan(one.upper)
    assert math.isnan(one.bias_interval[0])
    with pytest.raises(ValueError, match="argument"):
        limits_of_agreement([1.0], [])


def test_order_of_categories_weighs_by_steps():
    # 1 - sum(w * observed) / sum(w * expected) with w = 0, 1, 2 steps, by hand
    table = np.array([[10, 3, 1], [2, 8, 4], [0, 2, 10]])
    observed = (3 + 2 * 1 + 2 + 4 + 2) / 40
    expected = (14 * 13 + 2 * 14 * 15 + 14 * 12 + 14 * 15 + 2 * 12 * 12 + 12 * 13) / 40**2
    assert cohens_kappa(table, ordinal=True) == pytest.approx(1 - observed / expected)
    near, far = np.diag([5, 5, 5]), np.diag([5, 5, 5])
    near[0, 1] = far[0, 2] = 3
    assert cohens_kappa(near, ordinal=True) > cohens_kappa(far, ordinal=True)
    assert cohens_kappa(np.array([[3, 1], [2, 4]]), ordinal=True) == pytest.approx(0.4)
    assert math.isnan(cohens_kappa(np.diag([0, 4, 0]), ordinal=True))
