"""A third person decides where graders differ: takes one mask, a joint one, or paints.

The adjudicator sees an image once all graders are done with it. What is decided is in a log and a
store of the adjudicator's own; the graders' folders are never written.
"""

from collections.abc import Mapping, Sequence

from sam2lora.errors import SessionError
from sam2lora.grading.consensus import PAINTED, resolve
from sam2lora.grading.entries import ChoiceEntry, SeenMask
from sam2lora.grading.grades import ImageGrade
from sam2lora.grading.participants import Participant
from sam2lora.grading.review import Review
from sam2lora.grading.session import ADJUDICATORS, GradingSession
from sam2lora.types import Mask
from sam2lora.utils.names import plain_name


class Adjudicator(Participant):
    """An adjudicator's part of a session; see `Participant`.

    Parameters
    ----------
    session, name, read_only
        As for `Participant`.
    graders
        Whose masks are decided on; empty for all graders of the session.

    Attributes
    ----------
    review
        The graders' work when this was opened, or `refresh` was called.

    Raises
    ------
    SessionError
        If the name is a grader's, nobody has graded, or as for `Participant`.
    OutputError
        As for `Participant`.
    """

    kind = ADJUDICATORS

    def __init__(
        self,
        session: GradingSession,
        name: str,
        *,
        graders: Sequence[str] = (),
        read_only: bool = False,
    ) -> None:
        if plain_name(name.strip()) in map(plain_name, session.graders()):
            raise SessionError(
                f"{name} is a grader of this session; an adjudicator is a third person. Two who "
                "decide together need a name for both."
            )
        self._chosen_graders = tuple(graders)
        self.review = Review(session, graders)
        super().__init__(session, name, read_only=read_only)

    def refresh(self) -> None:
        """Read the graders' work again.

        Raises
        ------
        SessionError
            As for `Review`.
        """
        self.review = Review(self.session, self._chosen_graders)

    def choose(
        self,
        stem: str,
        target: str,
        choice: str | None,
        *,
        seen: Mapping[str, SeenMask] | None = None,
    ) -> ImageGrade:
        """Take a mask for the consensus; None takes it back.

        Parameters
        ----------
        stem, target
            The image, and what is decided on.
        choice
            A grader's name, `majority`, `staple` or `painted`; the painted mask is saved before
            (`corrections.save`).
        seen
            What `seen` returned when the masks were shown; None if they are read now.

        Raises
        ------
        SealedError
            If a grader is not done with the image.
        SessionError
            If there is no such mask, or a grader has changed one since it was shown.
        ImageError
            If the image or a mask cannot be read.
        OutputError
            As for `write`.
        """
        if choice is not None:
            self.mask(stem, target, choice)
        now = {} if choice is None else self.seen(stem, target)
        if seen is not None and choice is not None and now != seen:
            raise SessionError(
                f"{stem}: a grader has changed the {target} since it was shown. Look at it again."
            )
        return self.write(ChoiceEntry(image=stem, target=target, choice=choice, seen=now))

    def seen(self, stem: str, target: str) -> dict[str, SeenMask]:
        """Return what a choice would be about now: whose masks, of when, and their content.

        Raises
        ------
        SealedError
            If a grader is not done with the image.
        ImageError
            If a mask cannot be read.
        """
        self.review.check_open(stem)
        return self._seen(stem, target)

    def choices(self, stem: str) -> dict[str, str]:
        """Return what was chosen by target, as far as it still counts.

        A choice does not count any longer once a grader has taken the image back from *done*, even
        if it is done again, or has another mask, or the graders are others: it was about something
        else. `void_choices` returns these.

        Raises
        ------
        ImageError
            If a mask cannot be read.
        """
        return self._choices(stem, counting=True)

    def void_choices(self, stem: str) -> dict[str, str]:
        """Return what was chosen by target, and does not count any longer.

        Raises
        ------
        ImageError
            If a mask cannot be read.
        """
        return self._choices(stem, counting=False)

    def _choices(self, stem: str, *, counting: bool) -> dict[str, str]:
        return {
            target: entry.choice
            for target, entry in self.grade(stem).choices.items()
            if entry.choice is not None
            and (entry.seen == self._seen(stem, target) and not self._taken_back(stem)) == counting
        }

    def _taken_back(self, stem: str) -> bool:
        return any(not self.review.grade(name, stem).done for name in self.review.graders)

    def _seen(self, stem: str, target: str) -> dict[str, SeenMask]:
        """Return `seen` for an image that may be sealed again."""
        hashes = self.review.mask_hashes(stem, target)
        return {
            name: SeenMask(since=self.review.grade(name, stem).since, sha256=sha256)
            for name, sha256 in hashes.items()
        }

    def mask(self, stem: str, target: str, choice: str) -> Mask:
        """Return the mask that a choice stands for, `(H, W)` bool; nothing is written.

        Raises
        ------
        SealedError, SessionError, ImageError
            As for `choose`.
        """
        masks = self.review.masks(stem)
        by_grader = {name: drawn[target] for name, drawn in masks.items() if target in drawn}
        painted = None
        if choice == PAINTED:
            painted = self.corrections.masks(stem, self.review.shape(stem)).get(target)
        return resolve(choice, by_grader, painted=painted)
