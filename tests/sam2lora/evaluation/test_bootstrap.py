"""The bootstrap interval: right where the answer is known, by patients, the same every time."""

import math

import numpy as np
import pytest

from sam2lora.evaluation.bootstrap import bootstrap_interval

RNG = np.random.default_rng(0)


def test_it_is_about_the_normal_interval_of_many_values() -> None:
    values = RNG.normal(0.1, 1, 400)
    low, high = bootstrap_interval(values, range(400))
    reach = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - reach, abs=0.02)
    assert high == pytest.approx(values.mean() + reach, abs=0.02)


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(0.5, 1, 40)
        low, high = bootstrap_interval(values, range(40))
        hits += low <= 0.5 <= high
    assert 0.9 <= hits / 200 <= 0.985


def test_both_eyes_of_a_person_count_as_one() -> None:
    """The same value twice is no more evidence than once."""
    values = RNG.normal(0, 1, 30)
    once = bootstrap_interval(values, range(30))
    twice = bootstrap_interval(np.repeat(values, 2), np.repeat(range(30), 2))
    blind = bootstrap_interval(np.repeat(values, 2), range(60))
    assert twice == pytest.approx(once)
    assert blind[1] - blind[0] < 0.8 * (twice[1] - twice[0])


def test_a_seed_repeats_it_and_another_hardly_changes_it() -> None:
    values = RNG.normal(0, 1, 30)
    first = bootstrap_interval(values, range(30), seed=1)
    assert bootstrap_interval(values, range(30), seed=1) == first
    other = bootstrap_interval(values, range(30), seed=2)
    assert other != first
    assert other == pytest.approx(first, abs=0.03)


@pytest.mark.parametrize(("values", "patients"), [([], []), ([1.0], ["a"]), ([1.0, 2.0], "aa")])
def test_of_one_person_nothing_is_known(values: list[float], patients: str) -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(values, patients))


def test_equal_differences_have_no_width() -> None:
    assert bootstrap_interval([0.25] * 5, range(5)) == (0.25, 0.25)
