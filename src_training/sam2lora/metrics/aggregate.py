"""All metrics of an image at once, and what several images come to."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sam2lora.metrics.segmentation import (
    Counts,
    Probabilities,
    Spacing,
    auc,
    cldice,
    count,
    surface_distances,
)
from sam2lora.types import Mask


@dataclass(frozen=True)
class MetricSummary:
    """One metric over several images.

    Attributes
    ----------
    mean, std
        Of the defined values; `std` is the sample's (divided by n − 1). NaN where no value is
        defined, and `std` also where only one is.
    n
        How many images have a value.
    undefined
        How many have none.
    """

    mean: float
    std: float
    n: int
    undefined: int


def score(
    probabilities: Probabilities,
    truth: Mask,
    *,
    valid: Mask | None = None,
    threshold: float = 0.5,
    spacing: Spacing | None = None,
) -> dict[str, float]:
    """Compute every metric of one image and one target.

    Parameters
    ----------
    probabilities
        `(H, W)` float.
    truth, valid
        `(H, W)` bool; what is not valid has no influence.
    threshold
        Probability from which a pixel belongs to the target.
    spacing
        Size of a pixel (row, column), in mm for instance. None: distances in pixels.

    Returns
    -------
    `dice`, `iou`, `sensitivity`, `specificity`, `auc`, `cldice`, `hd95` and `assd`; NaN where
    undefined.

    Raises
    ------
    GeometryError
        If the arrays are not of one size, or truth and valid are no masks.
    ValueError
        If a valid probability is NaN.
    """
    area = auc(probabilities, truth, valid=valid)
    mask = probabilities >= threshold
    return score_mask(mask, truth, valid=valid, spacing=spacing) | {"auc": area}


def score_mask(
    mask: Mask, truth: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> dict[str, float]:
    """Compute every metric of a mask without probabilities, such as a second grader's.

    It has no ROC curve, so `auc` is NaN; otherwise as `score`.

    Raises
    ------
    GeometryError
        If the arrays are not masks of one size.
    """
    distances = surface_distances(mask, truth, valid=valid, spacing=spacing)
    return {
        **_overlaps(count(mask, truth, valid=valid)),
        "auc": math.nan,
        "cldice": cldice(mask, truth, valid=valid),
        "hd95": distances.hd95,
        "assd": distances.assd,
    }


def pooled(counts: Iterable[Counts]) -> dict[str, float]:
    """Compute the overlaps over the pixels of all images, as if they were one."""
    return _overlaps(sum(counts, Counts()))


def summarize(scores: Sequence[Mapping[str, float]]) -> dict[str, MetricSummary]:
    """Summarize each metric over images; undefined values are left out and counted.

    Raises
    ------
    ValueError
        If the images do not all have the same metrics.
    """
    names = {name: None for each in scores for name in each}
    for each in scores:
        if missing := ", ".join(name for name in names if name not in each):
            raise ValueError(f"An image has no value for {missing}; give NaN where undefined.")
    return {name: _summary([each[name] for each in scores]) for name in names}


def _overlaps(counts: Counts) -> dict[str, float]:
    return {
        "dice": counts.dice,
        "iou": counts.iou,
        "sensitivity": counts.sensitivity,
        "specificity": counts.specificity,
    }


def _summary(values: Sequence[float]) -> MetricSummary:
    defined = [value for value in values if not math.isnan(value)]
    n = len(defined)
    return MetricSummary(
        mean=float(np.mean(defined)) if n else math.nan,
        std=float(np.std(defined, ddof=1)) if n > 1 else math.nan,
        n=n,
        undefined=len(values) - n,
    )
