"""How good a mask is: overlaps, ROC area, cross-entropy, center lines, distances, cup/disc ratio.

Each metric takes a prediction and the truth, `(H, W)` bool, and `valid`, `(H, W)` bool: the pixels
that are judged (the field of view, what was annotated). What lies outside has no influence: it is
background to the metrics of shape. Undefined is NaN, never a number that stands for it.

`Counts` and `SurfaceDistances` hold what several metrics share; the functions are for one metric.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sam2lora.errors import GeometryError
from sam2lora.types import Mask

Probabilities = NDArray[np.floating]
Distances = NDArray[np.float64]
Spacing = tuple[float, float]

_LEAST = 1e-6  # probability that the cross-entropy takes for 0


@dataclass(frozen=True)
class Counts:
    """Valid pixels by what they are and what they were taken for; they add up over images.

    Nothing found where nothing is has overlap 1; without a single valid pixel nothing is defined.
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
        return 1.0 if self._rightly_empty else _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float:
        """TP / (TP + FP + FN)."""
        return 1.0 if self._rightly_empty else _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN), NaN where the target is absent."""
        return _ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP), NaN where there is nothing but target."""
        return _ratio(self.tn, self.tn + self.fp)

    @property
    def _rightly_empty(self) -> bool:
        return self.tp + self.fp + self.fn == 0 and self.tn > 0


@dataclass(frozen=True, eq=False)
class SurfaceDistances:
    """How far each surface pixel is from the nearest one of the other mask.

    A surface pixel is one of the mask with background, or the image's border, above, below, left or
    right of it. Where one of the masks is empty there are no distances.

    Attributes
    ----------
    to_reference
        `(n,)`, one for each surface pixel of the prediction.
    to_prediction
        `(m,)`, one for each surface pixel of the truth.
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


def count(prediction: Mask, truth: Mask, *, valid: Mask | None = None) -> Counts:
    """Count the valid pixels by prediction and truth.

    Raises
    ------
    GeometryError
        If the arrays are not masks of one size.
    """
    prediction, truth, judged = _judged(prediction, truth, valid)
    tp = int(np.count_nonzero(prediction & truth))
    fp = int(np.count_nonzero(prediction)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return Counts(tp, fp, fn, judged - tp - fp - fn)


def dice(prediction: Mask, truth: Mask, *, valid: Mask | None = None) -> float:
    """Compute the Dice coefficient, 2·TP / (2·TP + FP + FN)."""
    return count(prediction, truth, valid=valid).dice


def iou(prediction: Mask, truth: Mask, *, valid: Mask | None = None) -> float:
    """Compute the intersection over the union, TP / (TP + FP + FN)."""
    return count(prediction, truth, valid=valid).iou


def sensitivity(prediction: Mask, truth: Mask, *, valid: Mask | None = None) -> float:
    """Compute the share of the target that was found, TP / (TP + FN)."""
    return count(prediction, truth, valid=valid).sensitivity


def specificity(prediction: Mask, truth: Mask, *, valid: Mask | None = None) -> float:
    """Compute the share of the background that was left alone, TN / (TN + FP)."""
    return count(prediction, truth, valid=valid).specificity


def auc(probabilities: Probabilities, truth: Mask, *, valid: Mask | None = None) -> float:
    """Compute the area under the ROC curve: the chance that a target pixel outranks another.

    Exact, without a histogram; ties count half. It is the rank statistic of Mann and Whitney
    divided by the number of pairs (Hanley, McNeil: Radiology 143, 1982). NaN where the target is
    absent or is everything.

    Parameters
    ----------
    probabilities
        `(H, W)` float; only their order counts.

    Raises
    ------
    GeometryError
        If the arrays are not of one size, or truth and valid are no masks.
    ValueError
        If a valid probability is NaN.
    """
    where = _checked(probabilities, truth, valid)
    positives, negatives = probabilities[where & truth], probabilities[where & ~truth]
    if np.isnan(positives).any() or np.isnan(negatives).any():
        raise ValueError("There is NaN among the probabilities, so they have no order.")
    negatives.sort()
    positives.sort()  # so that the look-ups walk through memory instead of jumping
    below, not_above = (
        int(np.searchsorted(negatives, positives, side=side).sum(dtype=np.int64))
        for side in ("left", "right")
    )
    return _ratio((below + not_above) / 2, len(positives) * len(negatives))


def cross_entropy(probabilities: Probabilities, truth: Mask, *, valid: Mask | None = None) -> float:
    """Compute the mean binary cross-entropy of the valid pixels.

    A probability of what is there below 1e-6 counts as 1e-6, so that one sure and wrong pixel does
    not make it infinite. NaN where nothing is valid.

    Parameters
    ----------
    probabilities
        `(H, W)` float in 0…1.

    Raises
    ------
    GeometryError
        If the arrays are not of one size, or truth and valid are no masks.
    """
    where = _checked(probabilities, truth, valid)
    right = np.where(truth, probabilities, 1 - probabilities)[where]
    return float(-np.log(np.maximum(right, _LEAST)).mean()) if right.size else math.nan


def cldice(prediction: Mask, truth: Mask, *, valid: Mask | None = None) -> float:
    """Compute clDice, the Dice of center lines, for vessels.

    It is the harmonic mean of the share of the prediction's skeleton that lies in the truth and of
    the truth's that lies in the prediction (Shit et al., CVPR 2021, arXiv 2003.07311).

    Raises
    ------
    GeometryError
        If the arrays are not masks of one size.
    """
    from skimage.morphology import skeletonize

    whole = count(prediction, truth, valid=valid)
    if not whole.tp:
        return whole.dice  # apart, or empty: as for every overlap
    prediction, truth, _ = _judged(prediction, truth, valid)
    prediction, truth = _crop(prediction, truth)
    precision = float(truth[skeletonize(prediction)].mean())
    recall = float(prediction[skeletonize(truth)].mean())
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def surface_distances(
    prediction: Mask, truth: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> SurfaceDistances:
    """Find the Euclidean distances between the surfaces of two masks.

    Parameters
    ----------
    spacing
        Size of a pixel (row, column), in mm for instance. None: distances in pixels.

    Raises
    ------
    GeometryError
        If the arrays are not masks of one size.
    """
    from scipy.ndimage import binary_erosion, distance_transform_edt

    prediction, truth, _ = _judged(prediction, truth, valid)
    if not (prediction.any() and truth.any()):
        return SurfaceDistances(np.empty(0), np.empty(0))
    found, true = (mask & ~binary_erosion(mask) for mask in _crop(prediction, truth))
    return SurfaceDistances(
        to_reference=distance_transform_edt(~true, sampling=spacing)[found],
        to_prediction=distance_transform_edt(~found, sampling=spacing)[true],
    )


def hd95(
    prediction: Mask, truth: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> float:
    """Compute the 95th percentile Hausdorff distance, in the unit of `spacing`, else in pixels.

    As in MONAI's `compute_hausdorff_distance(percentile=95)`: of the two directed percentiles the
    larger. NaN where one of the masks is empty.
    """
    return surface_distances(prediction, truth, valid=valid, spacing=spacing).hd95


def assd(
    prediction: Mask, truth: Mask, *, valid: Mask | None = None, spacing: Spacing | None = None
) -> float:
    """Compute the average symmetric surface distance, in the unit of `spacing`, else in pixels.

    As in MONAI's `compute_average_surface_distance(symmetric=True)`. NaN where one of the masks is
    empty.
    """
    return surface_distances(prediction, truth, valid=valid, spacing=spacing).assd


def vertical_cdr_error(
    prediction: Mapping[str, Mask], truth: Mapping[str, Mask], *, valid: Mask | None = None
) -> float:
    """Compute the absolute difference of the vertical cup/disc ratios of `measurements.measure`.

    Both hold a `disc` and a `cup`; NaN where one of them has no disc.

    Raises
    ------
    GeometryError
        If the arrays are not masks of one size.
    KeyError
        If a disc or a cup is missing.
    """
    every = [masks[name] for masks in (prediction, truth) for name in ("disc", "cup")]
    seen = np.ones(every[0].shape, np.bool_) if valid is None else valid
    _check_masks(*every, seen)
    return abs(vertical_cdr(prediction, seen) - vertical_cdr(truth, seen))


def vertical_cdr(masks: Mapping[str, Mask], valid: Mask) -> float:
    """Compute the vertical cup/disc ratio of valid pixels (`measure`); NaN without a disc."""
    from sam2lora.images.field_of_view import FieldOfView
    from sam2lora.metrics.measurements import measure

    field = FieldOfView(valid, (math.nan, math.nan), math.nan)  # a ratio needs no circle
    ratio = measure({name: masks[name] for name in ("disc", "cup")}, field).vertical_cup_disc_ratio
    return math.nan if ratio is None else ratio


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _crop(prediction: Mask, truth: Mask) -> tuple[Mask, Mask]:
    """Cut two masks to the box around both: a disc is a small part of its image."""
    either = prediction | truth
    rows, columns = (np.flatnonzero(either.any(axis=axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return prediction[box], truth[box]


def _judged(prediction: Mask, truth: Mask, valid: Mask | None) -> tuple[Mask, Mask, int]:
    """Give both masks without what is not valid, and the number of valid pixels."""
    if valid is None:
        _check_masks(prediction, truth)
        return prediction, truth, truth.size
    _check_masks(prediction, truth, valid)
    return prediction & valid, truth & valid, int(np.count_nonzero(valid))


def _checked(probabilities: Probabilities, truth: Mask, valid: Mask | None) -> Mask:
    """Return which pixels are judged, after checking that all arrays are of one size."""
    where = np.ones(truth.shape, np.bool_) if valid is None else valid
    _check_masks(truth, where)
    if probabilities.shape != truth.shape or not np.issubdtype(probabilities.dtype, np.floating):
        raise GeometryError(
            f"Probabilities are float of shape {truth.shape} as the truth, not "
            f"{probabilities.dtype} of shape {probabilities.shape}."
        )
    return where


def _check_masks(*masks: Mask) -> None:
    first = masks[0]
    if any(mask.ndim != 2 or mask.shape != first.shape or mask.dtype != bool for mask in masks):
        found = ", ".join(f"{mask.dtype} {mask.shape}" for mask in masks)
        raise GeometryError(f"Masks of one size, (H, W) bool, are needed; there are: {found}.")
