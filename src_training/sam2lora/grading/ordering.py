"""Which image is next, and why, in words: in the order of the list, or the most doubtful first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sam2lora.grading.doubts import Doubt
from sam2lora.grading.entries import GradingState
from sam2lora.grading.grades import UNTOUCHED, ImageGrade

OPEN: tuple[GradingState, ...] = ("to do", "started")
"""States of images that are still to be graded."""


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
        *(Suggestion(stem, "Not predicted yet.") for stem in unknown),
    ]


def _in_order(grade: ImageGrade) -> str:
    if grade.state == "started":
        return "Next in the list; it was started."
    return "Next in the list."
