"""Which image a grader is shown next: that after the current one, or the most doubtful one."""

from collections.abc import Mapping
from typing import Literal

from sam2lora.grading import (
    Doubt,
    SessionGrader,
    Suggestion,
    doubt_of_confidences,
    suggest,
)

Order = Literal["list", "doubt"]
"""Which image is next: that after the current one in the list, or the most doubtful."""


class ImageOrder:
    """The order of a grader's images, by what is known of their predictions.

    Parameters
    ----------
    grader
        The grader's part of the session.
    doubts
        What was found in predictions, by stem.

    Attributes
    ----------
    by
        Which image is next.
    """

    def __init__(self, grader: SessionGrader, doubts: Mapping[str, Doubt]) -> None:
        self.by: Order = "list"
        self._grader, self._doubts = grader, doubts
        self._confidences: dict[str, dict[str, float]] = {}  # of predictions in this window
        session = grader.session
        self._stems = {str(session.path(image.stem)): image.stem for image in session.images}

    def suggestions(self, current: str | None) -> list[Suggestion]:
        """Return the images that are still to be graded, the next one first."""
        stems, doubts = list(self._stems.values()), None
        if self.by == "doubt":
            known = {stem: self.doubt(stem) for stem in stems}
            doubts = {stem: doubt for stem, doubt in known.items() if doubt is not None}
        return suggest(stems, self._grader.grades, doubts=doubts, current=current)

    def note_confidence(self, path: str, target: str, confidence: float | None) -> str | None:
        """Remember how sure a prediction is, and return the stem of its image.

        Parameters
        ----------
        path
            Path of the image; of a file that is no image of the session, nothing is remembered.
        target, confidence
            The name of the target, and 0…1 or None.
        """
        stem = self._stems.get(path)
        if stem is not None:
            known = self._confidences.setdefault(stem, {})
            known.pop(target, None)
            if confidence is not None:
                known[target] = confidence
        return stem

    def doubt(self, stem: str) -> Doubt | None:
        """Return the largest doubt about the predictions of an image; None if nothing is known."""
        logged = {
            target: entry.confidence
            for target, entry in self._grader.grade(stem).predictions.items()
            if entry.confidence is not None
        }
        sure = doubt_of_confidences(logged | self._confidences.get(stem, {}))
        known = [one for one in (sure, self._doubts.get(stem)) if one is not None]
        return max(known, key=lambda one: one.value, default=None)
