"""Metrics of a mask: overlaps, ROC area, cross-entropy, center lines, distances, cup/disc ratio.

Each metric takes a prediction and a reference, `(H, W)` bool, and `valid`, `(H, W)` bool: the
pixels that are scored (field of view, annotated region). Pixels outside have no influence; metrics
of shape take them for background. An undefined metric is NaN, never a number in its place.

`Counts` and `SurfaceDistances` hold what several metrics share; each function computes one metric.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import GeometryError
from sam2lora.types import Mask, Spacing

Probabilities = NDArray[np.floating]
Distances = NDArray[np.float64]

_SMALLEST = 1e-6  # lower limit of probabilities in the cross-entropy


@dataclass(frozen=True)
class Counts:
    """Confusion counts of the valid pixels; they add up over images.

    The overlap of two empty masks is 1; without any valid pixel nothing is defined.
    """

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn
        )

    @property
    def dice(self) -> float:
        """2·TP / (2·TP + FP + FN)."""
        return 1.0 if self._both_empty else _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN)."""
        return 1.0 if self._both_empty else _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), NaN where the target is absent."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP), NaN where there is no background."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def _both_empty(self) -> bool:
        return self.tp + self.fp + self.fn == 0 and self.tn > 0


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """Distance of each surface pixel to the nearest surface pixel of the other mask.

    A surface pixel is a mask pixel with background, or the image's border, above, below, left or
    right of it. If one of the masks is empty there are no distances.

    Attributes
    ----------
    to_reference
        `(n,)`, one distance for each surface pixel of the prediction.
    to_prediction
        `(m,)`, one distance for each surface pixel of the reference.
    """

    to_reference: Distances
    to_prediction: Distances

    @property
    def hd95(self) -> float:
        """The larger of the two directed 95th percentiles (linear between ranks)."""
        if not len(self.to_reference):
            return math.nan
        return float(
            max(np.percentile(self.to_reference, 95), np.percentile(self.to_prediction, 95))
        )

    @property
    def assd(self) -> float:
        """The mean over the surface pixels of both."""
        if not len(self.to_reference):
            return math.nan
        return float(np.concatenate([self.to_reference, self.to_prediction]).mean())


def count(prediction: Mask, reference: Mask, *, valid: Mask | None = None) -> Counts:
    """Count the valid pixels by prediction and reference.

    Raises
    ------
    GeometryError
        If the arrays are not masks of the same size.
    """
    prediction, reference, total = _restrict(prediction, reference, valid)
    tp = int(np.count_nonzero(prediction & reference))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(reference)) - tp
    return Counts(tp, fp, fn, total - tp - fp - fn)


def dice(prediction: Mask, reference: Mask, *, valid: Mask | None = None) -> float:
    """Compute the Dice coefficient, 2·TP / (2·TP + FP + FN)."""
    return count(prediction, reference, valid=valid).dice


def iou(prediction: Mask, reference: Mask, *, valid: Mask | None = None) -> float:
    """Compute the intersection over the union, TP / (TP + FP + FN)."""
    return count(prediction, reference, valid=valid).iou


def sensitivity(prediction: Mask, reference: Mask, *, valid: Mask | None = None) -> float:
    """Compute the sensitivity (recall), TP / (TP + FN)."""
    return count(prediction, reference, valid=valid).sensitivity


def specificity(prediction: Mask, reference: Mask, *, valid: Mask | None = None) -> float:
    """Compute the specificity, TN / (TN + FP)."""
    return count(prediction, reference, valid=valid).specificity


def auc(probabilities: Probabilities, reference: Mask, *, valid: Mask | None = None) -> float:
    """Compute the area under the ROC curve: the chance that a target pixel outranks background.

    It is exact, without a histogram; ties count half. It is the rank statistic of Mann and Whitney
    divided by the number of pairs (Hanley, McNeil: Radiology 143, 1982). NaN where the target is
    absent or fills all valid pixels.

    Parameters
    ----------
    probabilities
        `(H, W)` float; only their order matters.

    Raises
    ------
    GeometryError
        If the arrays differ in size, or reference or valid is not a mask.
    ValueError
        If a valid probability is NaN.
    """
    where = _checked(probabilities, reference, valid)
    positives, negatives = probabilities[where & reference], probabilities[where & ~reference]
    if np.isnan(positives).any() or np.isnan(negatives).any():
        raise ValueError("The probabilities contain NaN, so they have no order.")
    negatives.sort()
    positives.sort()  # sorted queries are looked up in sequential memory
    below, not_above = (
        int(np.searchsorted(negatives, positives, side=side).sum(dtype=np.int64))
        for side in ("left", "right")
    )
    return _ratio((below + not_above) / 2, len(positives) * len(negatives))


def cross_entropy(
    probabilities: Probabilities, reference: Mask, *, valid: Mask | None = None
) -> float:
    """Compute the mean binary cross-entropy of the valid pixels.

    The probability of the correct class is at least 1e-6, so that one confident wrong pixel does
    not make it infinite. NaN where nothing is valid.

    Parameters
    ----------
    probabilities
        `(H, W)` float in 0…1.

    Raises
    ------
    GeometryError
        If the arrays differ in size, or reference or valid is not a mask.
    """
    where = _checked(probabilities, reference, valid)
    correct = np.where(reference, probabilities, 1 - probabilities)[where]
    return float(-np.log(np.maximum(correct, _SMALLEST)).mean()) if correct.size else math.nan


def cldice(prediction: Mask, reference: Mask, *, valid: Mask | None = None) -> float:
    """Compute clDice, the Dice of center lines, for vessels.

    It is the harmonic mean of two shares: of the prediction's skeleton inside the reference, and of
    the reference's skeleton inside the prediction (Shit et al., CVPR 2021, arXiv 2003.07311).

    Raises
    ------
    GeometryError
        If the arrays are not masks of the same size.
    """
    from skimage.morphology import skeletonize

    counts = count(prediction, reference, valid=valid)
    if not counts.tp:
        return counts.dice  # disjoint or empty masks, as in every overlap
    prediction, reference, _ = _restrict(prediction, reference, valid)
    prediction, reference = _crop(prediction, reference)
    precision = float(reference[skeletonize(prediction)].mean())
    recall = float(prediction[skeletonize(reference)].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def surface_distances(
    prediction: Mask, reference: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> SurfaceDistances:
    """Find the Euclidean distances between the surfaces of two masks.

    Parameters
    ----------
    spacing
        Size of a pixel (row, column), e.g. in mm. None: distances in pixels.

    Raises
    ------
    GeometryError
        If the arrays are not masks of the same size.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    prediction, reference, _ = _restrict(prediction, reference, valid)
    if not (prediction.any() and reference.any()):
        return SurfaceDistances(np.empty(0), np.empty(0))
    predicted, actual = (mask & ~binary_erosion(mask) for mask in _crop(prediction, reference))
    return SurfaceDistances(
        to_reference=distance_transform_edt(~actual, sampling=spacing)[predicted],
        to_prediction=distance_transform_edt(~predicted, sampling=spacing)[actual],
    )


def hd95(
    prediction: Mask, reference: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> float:
    """Compute the 95th percentile Hausdorff distance, in the unit of `spacing`, else in pixels.

    As in MONAI's `compute_hausdorff_distance(percentile=95)`, it is the larger of the two directed
    percentiles. NaN where one of the masks is empty.
    """
    return surface_distances(prediction, reference, valid=valid, spacing=spacing).hd95


def assd(
    prediction: Mask, reference: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> float:
    """Compute the average symmetric surface distance, in the unit of `spacing`, else in pixels.

    As in MONAI's `compute_average_surface_distance(symmetric=True)`. NaN where one of the masks is
    empty.
    """
    return surface_distances(prediction, reference, valid=valid, spacing=spacing).assd


def vertical_cdr_error(
    prediction: Mapping[str, Mask], reference: Mapping[str, Mask], *, valid: Mask | None = None
) -> float:
    """Compute the absolute difference of the vertical cup/disc ratios of `measurements.measure`.

    Prediction and reference hold a `disc` and a `cup`; NaN if one of the discs is empty.

    Raises
    ------
    GeometryError
        If the arrays are not masks of the same size.
    KeyError
        If a disc or a cup is missing.
    """
    every = [masks[name] for masks in (prediction, reference) for name in ("disc", "cup")]
    where = np.ones(every[0].shape, np.bool_) if valid is None else valid
    _check_masks(*every, where)
    return abs(vertical_cdr(prediction, where) - vertical_cdr(reference, where))


def vertical_cdr(masks: Mapping[str, Mask], valid: Mask) -> float:
    """Compute the vertical cup/disc ratio of the valid pixels (`measure`); NaN without a disc."""
    from sam2lora.images.field_of_view import FieldOfView
    from sam2lora.measurements.structures import measure

    field = FieldOfView(valid, (math.nan, math.nan), math.nan)  # a ratio needs no circle
    ratio = measure({name: masks[name] for name in ("disc", "cup")}, field).vertical_cup_disc_ratio
    return math.nan if ratio is None else ratio


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _crop(prediction: Mask, reference: Mask) -> tuple[Mask, Mask]:
    """Crop two masks to the box around both, since a disc is a small part of its image."""
    either = prediction | reference
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return prediction[box], reference[box]


def _restrict(prediction: Mask, reference: Mask, valid: Mask | None) -> tuple[Mask, Mask, int]:
    """Return both masks restricted to the valid pixels, and the number of those."""
    if valid is None:
        _check_masks(prediction, reference)
        return prediction, reference, reference.size
    _check_masks(prediction, reference, valid)
    return prediction & valid, reference & valid, int(np.count_nonzero(valid))


def _checked(probabilities: Probabilities, reference: Mask, valid: Mask | None) -> Mask:
    """Return the pixels to score, after checking that all arrays have the same size."""
    where = np.ones(reference.shape, np.bool_) if valid is None else valid
    _check_masks(reference, where)
    if probabilities.shape != reference.shape or not np.issubdtype(
        probabilities.dtype, np.floating
    ):
        raise GeometryError(
            f"Probabilities must be float of shape {reference.shape} like the reference, not "
            f"{probabilities.dtype} of shape {probabilities.shape}."
        )
    return where


def _check_masks(*masks: Mask) -> None:
    first = masks[0]
    if any(mask.ndim != 2 or mask.shape != first.shape or mask.dtype != bool for mask in masks):
        found = ", ".join(f"{mask.dtype} {mask.shape}" for mask in masks)
        raise GeometryError(f"The masks must be (H, W) bool of the same size; found: {found}.")
