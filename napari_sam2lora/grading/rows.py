"""What the list of a session says of an image, and which images it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sam2lora.grading import Doubt, GradingState, ImageGrade, Quality, SessionImage


@dataclass(frozen=True)
class ImageRow:
    """One image of the list.

    Attributes
    ----------
    stem, patient
        Its name, and its patient.
    state, quality, comment, reason
        What the grader has said of it.
    minutes
        Time worked on it.
    doubt
        How doubtful its predictions are, 0…1; None if nothing is known of them.
    why
        What the doubt is about; empty if nothing is known.
    others
        Which other graders are done with it.
    """

    stem: str
    patient: str
    state: GradingState
    quality: Quality | None
    comment: str
    reason: str
    minutes: float
    doubt: float | None
    why: str
    others: str

    @property
    def tip(self) -> str:
        """All that is known, in lines."""
        state = f"{self.state}: {self.reason}" if self.reason else self.state
        lines = [f"{self.stem} (patient {self.patient})", state]
        if self.quality:
            lines.append(f"Quality: {self.quality}")
        done = f"Also done by {self.others}" if self.others else ""
        lines += [self.comment, f"{self.minutes:.1f} minutes", self.why, done]
        return "\n".join(line for line in lines if line)


def row_of(
    image: SessionImage, grade: ImageGrade, doubt: Doubt | None, others: Sequence[str] = ()
) -> ImageRow:
    """Return the row of an image with a grade; `others` are done with it, too."""
    return ImageRow(
        stem=image.stem,
        patient=image.patient,
        state=grade.state,
        quality=grade.quality,
        comment=grade.comment,
        reason=grade.reason,
        minutes=grade.seconds / 60,
        doubt=None if doubt is None else doubt.value,
        why="" if doubt is None else doubt.reason,
        others=", ".join(others),
    )


FILTERS: Mapping[str, Callable[[ImageRow], bool]] = {
    "All images": lambda row: True,
    "To do or started": lambda row: row.state in ("to do", "started"),
    "Done": lambda row: row.state == "done",
    "Flagged": lambda row: row.state == "flagged",
    "Skipped": lambda row: row.state == "skipped",
    "Gradable": lambda row: row.quality == "gradable",
    "Partly gradable": lambda row: row.quality == "partly",
    "Ungradable": lambda row: row.quality == "no",
    "With a comment": lambda row: bool(row.comment),
    "With a doubt": lambda row: row.doubt is not None,
    "Done by others": lambda row: bool(row.others),
}
"""Which images are listed, by the label of the choice."""
