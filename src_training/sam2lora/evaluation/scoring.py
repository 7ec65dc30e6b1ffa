"""Judge one answer against the truth: all metrics, and how they would be at other thresholds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sam2lora.evaluation.cases import PreparedCase
from sam2lora.metrics.aggregate import score, score_mask
from sam2lora.metrics.segmentation import Counts, count
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.transforms.windows import Values
from sam2lora.types import Mask

FloatArray = NDArray[np.float64]
Pixels = NDArray[np.int64]

THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(1, 100))
"""Where a sweep looks."""

# Most probabilities lie near 0 and 1, where only steps in logits show the whole of an ROC curve.
_LEVELS = np.unique(
    np.concatenate([[0], special.expit(np.linspace(-16, 16, 129)), THRESHOLDS]).astype(np.float32)
)


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """How many pixels reach each of the levels that `ThresholdCurve.levels` gives.

    Attributes
    ----------
    tp, fp
        `(n,)` valid pixels on the target, and off it, whose probability is at least the level.
    """

    tp: Pixels
    fp: Pixels

    @property
    def levels(self) -> NDArray[np.float32]:
        """`(n,)` probabilities, rising from 0."""
        return _LEVELS

    @classmethod
    def of(cls, probabilities: Values, view: PreparedCase) -> "ThresholdCurve":
        """Count the pixels of one image."""
        on = view.scored_reference
        off = ~view.reference if view.valid is None else ~view.reference & view.valid
        return cls(_reaching(probabilities[on]), _reaching(probabilities[off]))

    def dice(self, threshold: float) -> float:
        """Give the Dice coefficient at one of `THRESHOLDS`."""
        at = int(np.searchsorted(_LEVELS, np.float32(threshold)))
        tp, fp = int(self.tp[at]), int(self.fp[at])
        fn = int(self.tp[0]) - tp
        return Counts(tp, fp, fn, int(self.fp[0]) - fp).dice


@dataclass(frozen=True, eq=False)
class ImageScore:
    """What an answer is worth.

    Attributes
    ----------
    scores
        As `scores.score` gives them; distances in pixels.
    counts
        Judged pixels by what they are and what they were taken for.
    curve
        The same at other thresholds; None where there are no probabilities.
    """

    scores: dict[str, float]
    counts: Counts
    curve: ThresholdCurve | None = None


def score_probabilities(probabilities: Values, view: PreparedCase, threshold: float) -> ImageScore:
    """Judge probabilities, cut at a threshold."""
    scores = score(probabilities, view.reference, valid=view.valid, threshold=threshold)
    counts = count(probabilities >= threshold, view.reference, valid=view.valid)
    return ImageScore(scores, counts, ThresholdCurve.of(probabilities, view))


def score_binary_mask(mask: Mask, view: PreparedCase) -> ImageScore:
    """Judge a mask without probabilities, such as another grader's."""
    scores = score_mask(mask, view.reference, valid=view.valid)
    return ImageScore(scores, count(mask, view.reference, valid=view.valid))


def sweep(curves: Sequence[ThresholdCurve]) -> list[float]:
    """Give the mean of the images' Dice at each of `THRESHOLDS`."""
    dice = [[curve.dice(threshold) for curve in curves] for threshold in THRESHOLDS]
    return [_mean(at_one) for at_one in dice]


def roc(curves: Sequence[ThresholdCurve]) -> tuple[list[float], list[float]]:
    """Give the ROC curve over the pixels of all images.

    Returns
    -------
    False-positive rates and true-positive rates, from (0, 0) to (1, 1); empty where the target is
    absent or is everything.
    """
    if not curves:
        return [], []
    tp, fp = (np.sum([getattr(curve, name) for curve in curves], axis=0) for name in ("tp", "fp"))
    if not (tp[0] and fp[0]):
        return [], []
    rates = ([0.0, *(side[::-1] / side[0]).tolist()] for side in (fp, tp))
    first, second = rates
    return first, second


def _reaching(values: NDArray[np.float32]) -> Pixels:
    """Count the values that are at least each level."""
    index = np.searchsorted(_LEVELS, values, side="right")
    per_level = np.bincount(index, minlength=len(_LEVELS) + 1)
    reaching: Pixels = per_level[::-1].cumsum()[::-1][1:]
    return reaching


def _mean(values: Sequence[float]) -> float:
    defined = [value for value in values if not math.isnan(value)]
    return float(np.mean(defined)) if defined else math.nan


Status = Literal["scored", "failed", "not drawn"]


@dataclass(frozen=True, eq=False)
class Result:
    """What became of one image under one prompt regime.

    Attributes
    ----------
    dataset, image, patient
        Which image.
    regime
        Which prompts, by the name of their regime.
    status
        scored; failed: it could not be read or segmented; not drawn: it has no such prompts, for
        instance because the target is not in it.
    problem
        Why it is not scored.
    prompts
        What was said, in pixels of `prediction`.
    score
        What the answer is worth.
    prediction, reference
        `(H, W)` bool at the protocol's size, without what is not judged.
    expected_iou
        The IoU that the network expected.
    seconds
        Reading excluded.
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
    expected_iou: float | None = None
    seconds: float = 0.0
