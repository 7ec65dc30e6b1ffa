"""All metrics of an image at once, and their summary over images."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from sam2lora.metrics.segmentation import (
    Counts,
    Probabilities,
    auc,
    cldice,
    count,
    surface_distances,
)
from sam2lora.types import Mask, Spacing


@dataclass(frozen=True)
class MetricSummary:
    """Summary of one metric over several images.

    Attributes
    ----------
    mean, std
        Mean and sample standard deviation (n − 1) of the defined values. NaN if no value is
        defined; `std` also if only one is.
    n
        Number of images with a defined value.
    undefined
        Number of images without one.
    """

    mean: float
    std: float
    n: int
    undefined: int


def score(
    probabilities: Probabilities,
    reference: Mask,
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
    reference, valid
        `(H, W)` bool; pixels that are not valid have no influence.
    threshold
        Probability from which a pixel belongs to the target.
    spacing
        Size of a pixel (row, column), e.g. in mm. None: distances in pixels.

    Returns
    -------
    `dice`, `iou`, `sensitivity`, `specificity`, `auc`, `cldice`, `hd95` and `assd`; NaN where
    undefined.

    Raises
    ------
    GeometryError
        If the arrays differ in size, or reference or valid is not a mask.
    ValueError
        If a valid probability is NaN.
    """
    area = auc(probabilities, reference, valid=valid)
    mask = probabilities >= threshold
    return score_mask(mask, reference, valid=valid, spacing=spacing) | {"auc": area}


def score_mask(
    mask: Mask, reference: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> dict[str, float]:
    """Compute every metric of a mask without probabilities, such as a second grader's.

    Without probabilities there is no ROC curve, so `auc` is NaN; the rest is as in `score`.

    Raises
    ------
    GeometryError
        If the arrays are not masks of the same size.
    """
    distances = surface_distances(mask, reference, valid=valid, spacing=spacing)
    return {
        **_overlaps(count(mask, reference, valid=valid)),
        "auc": math.nan,
        "cldice": cldice(mask, reference, valid=valid),
        "hd95": distances.hd95,
        "assd": distances.assd,
    }


def pooled(counts: Iterable[Counts]) -> dict[str, float]:
    """Compute the overlap metrics over the pixels of all images, as if they were one image."""
    return _overlaps(sum(counts, Counts()))


def summarize(scores: Sequence[Mapping[str, float]]) -> dict[str, MetricSummary]:
    """Summarize each metric over images; undefined values are left out and counted.

    Raises
    ------
    ValueError
        If the images do not have the same metrics.
    """
    names = {name: None for image in scores for name in image}
    for image in scores:
        if missing := ", ".join(name for name in names if name not in image):
            raise ValueError(f"An image has no value for {missing}; use NaN where undefined.")
    return {name: _summary([image[name] for image in scores]) for name in names}


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
