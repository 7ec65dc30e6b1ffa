"""How sure a mean difference is: an interval from resampling the patients."""

import math
from collections.abc import Hashable, Sequence

import numpy as np

DRAWS = 10_000
LEVEL = 0.95


def bootstrap_interval(
    values: Sequence[float], patients: Sequence[Hashable], *, seed: int = 0
) -> tuple[float, float]:
    """Give the 95 % percentile interval of a mean, by resampling whole patients.

    Both eyes of a person are alike, so they are drawn together: resampling images would make the
    interval too narrow (Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapters 8, 13).

    Parameters
    ----------
    values
        One for each image, all defined.
    patients
        Whose each image is.
    seed
        What the resampling is drawn from.

    Returns
    -------
    Lower and upper end; NaN with fewer than two patients, of whose spread nothing is known.
    """
    groups: dict[Hashable, list[float]] = {}
    for value, patient in zip(values, patients, strict=True):
        groups.setdefault(patient, []).append(value)
    if len(groups) < 2:
        return math.nan, math.nan
    sums = np.array([sum(group) for group in groups.values()])
    counts = np.array([len(group) for group in groups.values()])
    drawn = np.random.default_rng(seed).integers(len(groups), size=(DRAWS, len(groups)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
