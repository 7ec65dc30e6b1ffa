"""The folder of one person in a session: a log, masks, what is not saved yet, and a lock.

A person's folder is written by one window at a time. A second one is refused, or opened to be read
only. Two people at once are fine, since nobody writes into the folder of another.
"""

import re
import unicodedata
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import ClassVar, Self

from pydantic import ValidationError

from sam2lora.annotations.store import Corrections
from sam2lora.errors import OutputError, SessionError
from sam2lora.grading.consensus import MAJORITY, PAINTED, STAPLE
from sam2lora.grading.entries import (
    AnyEntry,
    CommentEntry,
    GradingState,
    Quality,
    QualityEntry,
    StateEntry,
    append_entry,
    read_entries,
)
from sam2lora.grading.grades import UNTOUCHED, ImageGrade, after, count_unreadable, fold
from sam2lora.grading.recovery import RecoveryFile
from sam2lora.grading.session import ADJUDICATORS, GRADERS, LOG, GradingSession
from sam2lora.utils.files import make_folder
from sam2lora.utils.names import is_reserved, plain_name
from sam2lora.utils.process_lock import process_lock

RESERVED = (MAJORITY, STAPLE, PAINTED)
"""Names that nobody can have, as choices of an adjudicator are called so."""

_NAME = re.compile(r"[^\W_][\w-]{0,39}")


class Participant:
    """One person's part of a session, open in one window.

    Close it, or use it as a context, so that the lock is released at once; the system releases it
    when the process dies. Once closed, it refuses to write.

    Parameters
    ----------
    session
        The session.
    name
        The person's name: up to 40 letters, digits, `-` and `_`. Names that differ in case alone
        are one person.
    read_only
        Whether to read only, without the lock.

    Attributes
    ----------
    session, name, read_only
        As given, the name in the spelling that it was first given.
    folder
        The person's folder.
    corrections
        The person's masks and points, in the store that the image list uses. What is done is not
        kept in it, but in the log.
    recovery
        What is not saved yet.
    skipped_lines
        Lines of the log that this version cannot read.

    Raises
    ------
    SessionError
        If the name cannot be one, or the log cannot be read, or a reader names somebody who has no
        part in the session.
    OutputError
        If another window has the same person's part open (the message says which process), or the
        folder cannot be written.
    """

    kind: ClassVar[str]
    """Name of the folder in which those of this kind are."""

    def __init__(self, session: GradingSession, name: str, *, read_only: bool = False) -> None:
        self.session = session
        self.name = checked_name(name, session.names(self.kind))
        self.read_only = read_only
        self.folder = session.folder / self.kind / self.name
        self._refused = _read_only(self.folder) if read_only else ""
        self._held = ExitStack()
        if not read_only:
            make_folder(self.folder)
            self._held.enter_context(process_lock(self.folder, refusal=self._refusal))
        elif not self.folder.is_dir():
            raise SessionError(
                f"{session.folder}: {self.name} has no part in this session, so there is nothing "
                "to read."
            )
        try:
            self.recovery = RecoveryFile(self.folder / "recovery.npz", read_only=self._refused)
            self.corrections = Corrections(
                session.folder, folder=self.folder, read_only=self._refused
            )
            entries = read_entries(self.folder / LOG)
            self.skipped_lines = count_unreadable(entries)
            self._grades = fold(entries)
            if not read_only:
                paths = {image.stem: session.path(image.stem) for image in session.images}
                self.corrections.relink(paths)
        except BaseException:
            self._held.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def grades(self) -> Mapping[str, ImageGrade]:
        """What the person has said, by stem, of the images that anything was said about."""
        return MappingProxyType(self._grades)

    def grade(self, stem: str) -> ImageGrade:
        """Return what the person has said about an image."""
        return self._grades.get(stem, UNTOUCHED)

    def close(self) -> None:
        """Release the lock, and refuse to write from now on; calling it again does nothing."""
        if not self._refused:
            self._refused = f"{self.folder}: was closed here, so nothing is written. Open it again."
            self.corrections.refuse(self._refused)
            self.recovery.refuse(self._refused)
        self._held.close()

    def write(self, entry: AnyEntry) -> ImageGrade:
        """Append an entry to the log, and return what the image's grade has become.

        Parameters
        ----------
        entry
            Such as a `WorkEntry` of `WorkClock`, or a `PredictionEntry` when a mask was predicted.

        Raises
        ------
        SessionError
            If the session has no such image.
        OutputError
            If this window only reads or was closed, or the log cannot be written; the grade stays
            then.
        """
        self.session.image(entry.image)
        if self._refused:
            raise OutputError(self._refused)
        append_entry(self.folder / LOG, entry)
        self._grades[entry.image] = after(self.grade(entry.image), entry)
        return self._grades[entry.image]

    def _refusal(self, holder: str) -> str:
        return (
            f"{self.folder}: the part of {self.name} is open in another window ({holder}). Close "
            "that one, open this one read-only, or enter another name."
        )


class SessionGrader(Participant):
    """A grader's part of a session; see `Participant`.

    Raises
    ------
    SessionError
        If the name is that of somebody who has adjudicated, or only looked, and has seen the masks
        of others; or as for `Participant`.
    OutputError
        As for `Participant`.
    """

    kind = GRADERS

    def __init__(self, session: GradingSession, name: str, *, read_only: bool = False) -> None:
        if plain_name(name.strip()) in map(plain_name, session.names(ADJUDICATORS)):
            raise SessionError(
                f"{name} is an adjudicator of this session, and may have seen all masks, so "
                "nothing can be graded under this name. Enter another one."
            )
        super().__init__(session, name, read_only=read_only)

    def set_state(self, stem: str, state: GradingState, *, reason: str = "") -> ImageGrade:
        """Write how far the grader is with an image.

        Masks are saved apart, before: `corrections.save`, then `recovery.discard`, then this.

        Raises
        ------
        SessionError
            If an image is flagged without a reason, or as for `write`.
        OutputError
            As for `write`.
        """
        try:
            entry = StateEntry(image=stem, state=state, reason=reason)
        except ValidationError as error:
            raise SessionError(f"{stem}: a flagged image needs a reason. Give one.") from error
        return self.write(entry)

    def set_comment(self, stem: str, text: str) -> ImageGrade:
        """Write a comment, in place of the one before.

        Raises
        ------
        SessionError, OutputError
            As for `write`.
        """
        return self.write(CommentEntry(image=stem, text=text))

    def set_quality(self, stem: str, quality: Quality | None) -> ImageGrade:
        """Write how well an image can be graded; None takes it back.

        Raises
        ------
        SessionError, OutputError
            As for `write`.
        """
        return self.write(QualityEntry(image=stem, quality=quality))


def checked_name(name: str, known: tuple[str, ...] = ()) -> str:
    """Return a person's name as it is written to disk; in the spelling that is known already.

    Raises
    ------
    SessionError
        If it cannot be a name.
    """
    composed = unicodedata.normalize("NFC", name.strip())
    if not _NAME.fullmatch(composed) or plain_name(composed) in RESERVED or is_reserved(composed):
        raise SessionError(
            f"{name!r} cannot be a name: use up to 40 letters, digits, - and _, starting with a "
            f"letter or digit; none of {', '.join(RESERVED)}, and no device of Windows."
        )
    same = (one for one in known if plain_name(one) == plain_name(composed))
    return next(same, composed)


def read_grades(
    session: GradingSession, name: str, *, kind: str = GRADERS
) -> tuple[dict[str, ImageGrade], int]:
    """Read what one person has said so far, whether or not a window has it open.

    Returns
    -------
    The grades by stem, and the number of lines of the log that cannot be read.

    Raises
    ------
    SessionError
        If the log cannot be read.
    """
    entries = read_entries(session.folder / kind / name / LOG)
    return fold(entries), count_unreadable(entries)


def corrections_in(folder: Path, session: GradingSession) -> Corrections:
    """Return the store of the masks in a person's folder, to read only."""
    return Corrections(session.folder, folder=folder, read_only=_read_only(folder))


def _read_only(folder: Path) -> str:
    return f"{folder}: is open read-only, so nothing can be changed here."
