"""Which image is next, and why, in words: in the order of the list, or the most doubtful first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sam2lora.grading.entries import GradingState
from sam2lora.grading.grades import UNTOUCHED, ImageGrade
from sam2lora.metrics.segmentation import dice
from sam2lora.types import Mask

OPEN: tuple[GradingState, ...] = ("to do", "started")
"""States of images that are still to be graded."""


@dataclass(frozen=True)
class Doubt:
    """How doubtful the predictions of an image are.

    Attributes
    ----------
    value
        0 for none, up to 1.
    reason
        Why, as a sentence.
    """

    value: float
    reason: str


@dataclass(frozen=True)
class Suggestion:
    """An image that is still to be graded, and why it is at its place."""

    stem: str
    reason: str


def suggest(
    stems: Sequence[str],
    grades: Mapping[str, ImageGrade],
    *,
    doubts: Mapping[str, Doubt] | None = None,
    current: str | None = None,
) -> list[Suggestion]:
    """Return the images that are still to be graded, the next one first.

    Parameters
    ----------
    stems
        All images, in the order of the list.
    grades
        What the grader has said; images without a grade are to do.
    doubts
        What is known of predictions: the most doubtful images come first, those of which nothing is
        known last, in the order of the list. None keeps that order.
    current
        The image that is shown: it is left out, and without doubts those after it come first.
    """
    start = stems.index(current) + 1 if current in stems else 0
    turned = [*stems[start:], *stems[:start]] if doubts is None else stems
    left = [
        stem for stem in turned if stem != current and grades.get(stem, UNTOUCHED).state in OPEN
    ]
    if doubts is None:
        return [Suggestion(stem, _in_order(grades.get(stem, UNTOUCHED))) for stem in left]
    known = sorted((stem for stem in left if stem in doubts), key=lambda one: -doubts[one].value)
    unknown = [stem for stem in left if stem not in doubts]
    return [
        *(Suggestion(stem, doubts[stem].reason) for stem in known),
        *(Suggestion(stem, "Nothing is known of its predictions yet.") for stem in unknown),
    ]


def doubt_of_confidences(confidences: Mapping[str, float]) -> Doubt | None:
    """Return the doubt about the target that the prediction is least sure of.

    Parameters
    ----------
    confidences
        By target, 0…1: of `inference.confidence`, or the predicted IoU.

    Returns
    -------
    None if nothing is known.
    """
    if not confidences:
        return None
    target = min(confidences, key=lambda name: confidences[name])
    sure = min(max(confidences[target], 0.0), 1.0)
    return Doubt(1 - sure, f"The prediction is least sure of the {target}: {sure:.0%}.")


def doubt_of_predictions(
    first: Mapping[str, Mask],
    second: Mapping[str, Mask],
    *,
    names: tuple[str, str] = ("one prediction", "another"),
) -> Doubt | None:
    """Return the doubt about the target that two predictions differ most in.

    Parameters
    ----------
    first, second
        Masks by target: of two adapters, or of an image and its mirror image.
    names
        What predicted them, for the reason.

    Returns
    -------
    None if they have no target in common.

    Raises
    ------
    GeometryError
        If two masks of a target differ in size.
    """
    overlaps = {name: dice(mask, second[name]) for name, mask in first.items() if name in second}
    if not overlaps:
        return None
    target = min(overlaps, key=lambda name: overlaps[name])
    value = overlaps[target]
    return Doubt(
        1 - value, f"{names[0]} and {names[1]} differ most in the {target}: a Dice of {value:.2f}."
    )


def _in_order(grade: ImageGrade) -> str:
    if grade.state == "started":
        return "Next in the list; it was started."
    return "Next in the list."
