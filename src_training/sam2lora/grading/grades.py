"""What the entries of a log come to: the grade of each image."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sam2lora.grading.entries import (
    AnyEntry,
    ChoiceEntry,
    CommentEntry,
    GradingState,
    PredictionEntry,
    Quality,
    QualityEntry,
    StateEntry,
    UnreadableLine,
    WorkEntry,
)


@dataclass(frozen=True)
class ImageGrade:
    """What one person has said about one image, without the masks.

    Attributes
    ----------
    state
        How far the person is with it.
    since
        When the state was written; None for one that never was.
    reason
        Why it is flagged or skipped.
    comment
        The comment; empty if there is none.
    quality
        How well the image can be graded; None if nothing was said.
    seconds
        Time worked on it, without idle time.
    predictions
        By target, what predicted the mask last.
    choices
        By target, what an adjudicator took for the consensus, and when.
    changed
        When the last of these was written; None if nothing was.
    unreadable
        Lines that cannot be read and may be about the image, since the state was written.
    """

    state: GradingState = "to do"
    since: datetime | None = None
    reason: str = ""
    comment: str = ""
    quality: Quality | None = None
    seconds: float = 0.0
    predictions: Mapping[str, PredictionEntry] = field(default_factory=dict)
    choices: Mapping[str, ChoiceEntry] = field(default_factory=dict)
    changed: datetime | None = None
    unreadable: int = 0

    @property
    def done(self) -> bool:
        """Whether the person is done with it, and no unreadable line may have taken that back."""
        return self.state == "done" and not self.unreadable


UNTOUCHED = ImageGrade()
"""The grade of an image that nobody opened."""


def after(grade: ImageGrade, entry: AnyEntry) -> ImageGrade:
    """Return what a grade becomes by one more entry."""
    grade = replace(grade, changed=entry.time)
    match entry:
        case StateEntry():
            return replace(
                grade, state=entry.state, since=entry.time, reason=entry.reason, unreadable=0
            )
        case CommentEntry():
            return replace(grade, comment=entry.text)
        case QualityEntry():
            return replace(grade, quality=entry.quality)
        case WorkEntry():
            return replace(grade, seconds=grade.seconds + entry.seconds)
        case PredictionEntry():
            return replace(grade, predictions={**grade.predictions, entry.target: entry})
        case ChoiceEntry():
            others = {name: one for name, one in grade.choices.items() if name != entry.target}
            chosen = {} if entry.choice is None else {entry.target: entry}
            return replace(grade, choices=others | chosen)


def fold(entries: Iterable[AnyEntry | UnreadableLine]) -> dict[str, ImageGrade]:
    """Return the grade of each image that any entry is about, by its stem.

    A line of which not even the image can be read may be about any image.
    """
    grades: dict[str, ImageGrade] = {}
    for entry in entries:
        if isinstance(entry, UnreadableLine):
            for stem in [entry.image] if entry.image else list(grades):
                grade = grades.get(stem, UNTOUCHED)
                grades[stem] = replace(grade, unreadable=grade.unreadable + 1)
        else:
            grades[entry.image] = after(grades.get(entry.image, UNTOUCHED), entry)
    return grades


def count_unreadable(entries: Iterable[AnyEntry | UnreadableLine]) -> int:
    """Return the number of lines that cannot be read."""
    return sum(isinstance(entry, UnreadableLine) for entry in entries)
