"""Score one prediction against the reference: all metrics, and curves over the threshold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sam2lora.datasets import Record
from sam2lora.evaluation.cases import Case, PreparedCase
from sam2lora.evaluation.interactive import ClickSequence
from sam2lora.metrics.aggregate import score, score_mask
from sam2lora.metrics.segmentation import Counts, count
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.transforms.windows import Values
from sam2lora.types import Mask

FloatArray = NDArray[np.float64]
PixelCounts = NDArray[np.int64]

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))
"""Thresholds of a sweep."""

# Most probabilities lie near 0 and 1, where the ROC curve needs levels spaced in logits.
_LEVELS = np.unique(
    np.concatenate([[0], special.expit(np.linspace(-16, 16, 129)), THRESHOLDS]).astype(np.float32)
)


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Number of pixels whose probability reaches each of `ThresholdCurve.levels`.

    Attributes
    ----------
    tp, fp
        `(n,)` int64: scored pixels on and off the target whose probability is at least the level.
    """

    tp: PixelCounts
    fp: PixelCounts

    @property
    def levels(self) -> NDArray[np.float32]:
        """Probability levels `(n,)`, increasing from 0."""
        return _LEVELS

    @classmethod
    def of(cls, probabilities: Values, case: PreparedCase) -> "ThresholdCurve":
        """Count the pixels of one image."""
        positive = case.scored_reference
        negative = ~case.reference if case.valid is None else ~case.reference & case.valid
        return cls(_reaching(probabilities[positive]), _reaching(probabilities[negative]))

    def dice(self, threshold: float) -> float:
        """Return the Dice coefficient at one of `THRESHOLDS`."""
        index = int(np.searchsorted(_LEVELS, np.float32(threshold)))
        tp, fp = int(self.tp[index]), int(self.fp[index])
        fn = int(self.tp[0]) - tp
        return Counts(tp, fp, fn, int(self.fp[0]) - fp).dice


@dataclass(frozen=True, eq=False)
class ImageScore:
    """The scores of one prediction.

    Attributes
    ----------
    scores
        Metrics by name, as in `metrics.aggregate.score`; distances in pixels.
    counts
        True and false positives and negatives among the scored pixels.
    curve
        Counts at other thresholds; None if there are no probabilities.
    """

    scores: dict[str, float]
    counts: Counts
    curve: ThresholdCurve | None = None


def score_probabilities(probabilities: Values, case: PreparedCase, threshold: float) -> ImageScore:
    """Score probabilities, binarized at a threshold."""
    scores = score(probabilities, case.reference, valid=case.valid, threshold=threshold)
    counts = count(probabilities >= threshold, case.reference, valid=case.valid)
    return ImageScore(scores, counts, ThresholdCurve.of(probabilities, case))


def score_binary_mask(mask: Mask, case: PreparedCase) -> ImageScore:
    """Score a mask without probabilities, such as another grader's."""
    scores = score_mask(mask, case.reference, valid=case.valid)
    return ImageScore(scores, count(mask, case.reference, valid=case.valid))


def sweep(curves: Sequence[ThresholdCurve]) -> list[float]:
    """Return the mean Dice over the images at each of `THRESHOLDS`."""
    dice = [[curve.dice(threshold) for curve in curves] for threshold in THRESHOLDS]
    return [_mean(values) for values in dice]


def roc(curves: Sequence[ThresholdCurve]) -> tuple[list[float], list[float]]:
    """Return the ROC curve over the pixels of all images.

    Returns
    -------
    False-positive rates and true-positive rates, from (0, 0) to (1, 1); both empty if the target
    covers no pixel or all of them.
    """
    if not curves:
        return [], []
    tp, fp = (np.sum([getattr(curve, name) for curve in curves], axis=0) for name in ("tp", "fp"))
    if not (tp[0] and fp[0]):
        return [], []
    rates = ([0.0, *(side[::-1] / side[0]).tolist()] for side in (fp, tp))
    first, second = rates
    return first, second


def _reaching(values: NDArray[np.float32]) -> PixelCounts:
    """Count, for each level, the values that are at least as large."""
    index = np.searchsorted(_LEVELS, values, side="right")
    per_level = np.bincount(index, minlength=len(_LEVELS) + 1)
    reaching: PixelCounts = per_level[::-1].cumsum()[::-1][1:]
    return reaching


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


Status = Literal["scored", "failed", "not drawn"]


@dataclass(frozen=True, eq=False)
class ImageResult:
    """Result of one image under one prompt regime.

    Attributes
    ----------
    dataset, image, patient
        Names of the dataset and the image, and the patient if known.
    regime
        Name of the prompt regime.
    status
        scored; failed: the image could not be read or segmented; not drawn: the regime has no
        prompts for it, for example because the target is absent.
    problem
        Reason why the image is not scored; empty if it is.
    prompts
        Prompts that were used, in pixel coordinates of `prediction`.
    score
        Scores; None if the image is not scored.
    prediction, reference
        `(H, W)` bool at the protocol's size, within the pixels that are scored.
    predicted_iou
        IoU predicted by the network.
    confidence
        Probability of a Dice coefficient of at least `confidence.GOOD_DICE`, if it is known.
    seconds
        Time without reading the image and without corrections.
    corrections
        Simulated corrections by clicks, if they were asked for.
    """

    dataset: str
    image: str
    patient: str
    regime: str
    status: Status = "scored"
    problem: str = ""
    prompts: Prompts = field(default_factory=Prompts)
    score: ImageScore | None = None
    prediction: Mask | None = None
    reference: Mask | None = None
    predicted_iou: float | None = None
    confidence: float | None = None
    seconds: float = 0.0
    corrections: tuple[ClickSequence, ...] = ()


def empty_result(record: Record | Case) -> ImageResult:
    """Return a result that only names the image."""
    name = record.stem if isinstance(record, Record) else record.name
    return ImageResult(record.dataset, name, record.patient, "")
