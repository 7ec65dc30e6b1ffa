"""How well two raters agree: Cohen's kappa, and limits of agreement of a measurement."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from sam2lora.metrics.segmentation import Counts

_NORMAL = 1.96  # standard deviations around a mean that hold 95 % of a normal distribution


@dataclass(frozen=True)
class LimitsOfAgreement:
    """Limits of agreement (Bland, Altman: Stat Methods Med Res 8, 1999), first minus second.

    NaN where undefined: everything without a pair, and all but the bias with one.

    Attributes
    ----------
    n
        Number of pairs.
    bias
        Mean difference.
    bias_interval
        95 % confidence interval of the bias.
    sd
        Standard deviation of the differences (n − 1).
    lower, upper
        The bias ± 1.96 standard deviations.
    lower_interval, upper_interval
        95 % confidence intervals of these.
    """

    n: int
    bias: float
    bias_interval: tuple[float, float]
    sd: float
    lower: float
    upper: float
    lower_interval: tuple[float, float]
    upper_interval: tuple[float, float]


def cohens_kappa(table: NDArray[np.integer], *, ordinal: bool = False) -> float:
    """Compute Cohen's kappa from how often each pair of categories was given.

    Parameters
    ----------
    table
        `(k, k)` counts; rows are the first rater's categories, columns the second's.
    ordinal
        Whether the categories have an order: a difference then weighs as much as the steps it
        spans (linear weights, Cohen 1968), and else all differences weigh the same.

    Returns
    -------
    Agreement beyond chance: 1 for perfect, 0 for chance. NaN where chance alone agrees perfectly,
    because both raters gave a single category throughout.
    """
    total = float(table.sum())
    if not total:
        return math.nan
    steps = np.abs(np.subtract.outer(np.arange(len(table)), np.arange(len(table))))
    weights = steps if ordinal else steps > 0
    observed = float((weights * table).sum()) / total
    by_chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / total**2
    expected = float((weights * by_chance).sum())
    return 1 - observed / expected if expected > 0 else math.nan


def pixel_kappa(counts: Counts) -> float:
    """Compute Cohen's kappa over pixels that belong to a target or not."""
    return cohens_kappa(np.array([[counts.tp, counts.fp], [counts.fn, counts.tn]], np.int64))


def limits_of_agreement(first: Sequence[float], second: Sequence[float]) -> LimitsOfAgreement:
    """Compute the limits of agreement of two raters' measurements of the same things.

    Parameters
    ----------
    first, second
        The measurements, of the same length.

    Raises
    ------
    ValueError
        If the lengths differ.
    """
    differences = [a - b for a, b in zip(first, second, strict=True)]
    n = len(differences)
    bias = float(np.mean(differences)) if n else math.nan
    sd = float(np.std(differences, ddof=1)) if n > 1 else math.nan
    factor = float(stats.t.ppf(0.975, n - 1)) if n > 1 else math.nan
    of_bias = factor * sd / math.sqrt(n) if n else math.nan
    of_limits = factor * sd * math.sqrt(1 / n + _NORMAL**2 / (2 * (n - 1))) if n > 1 else math.nan
    lower, upper = bias - _NORMAL * sd, bias + _NORMAL * sd
    return LimitsOfAgreement(
        n=n,
        bias=bias,
        bias_interval=(bias - of_bias, bias + of_bias),
        sd=sd,
        lower=lower,
        upper=upper,
        lower_interval=(lower - of_limits, lower + of_limits),
        upper_interval=(upper - of_limits, upper + of_limits),
    )
