"""Open a grader's part of a session in a window, with what was not saved before a crash."""

from collections.abc import Mapping

from qtpy.QtWidgets import QWidget

from napari_sam2lora.qt.dialogs import confirm, keep_or_delete
from napari_sam2lora.qt.notifications import notify
from sam2lora.errors import OutputError, Sam2LoraError, SessionError
from sam2lora.grading import (
    Doubt,
    GradingSession,
    Participant,
    Recovery,
    RecoveryFile,
    SessionGrader,
    read_doubts,
)
from sam2lora.grading.session import ADJUDICATORS
from sam2lora.utils.names import plain_name


def joins_as_adjudicator(owner: QWidget, title: str, session: GradingSession, name: str) -> bool:
    """Ask whether somebody wants to see all masks, who can then grade nothing in a session.

    Who has graded or adjudicated before is not asked.
    """
    known = (*session.graders(), *session.names(ADJUDICATORS))
    if not session.graders() or plain_name(name) in map(plain_name, known):
        return True
    text = (
        f"{name} has not graded in this session. An adjudicator sees the masks of all graders, and "
        f"cannot grade afterwards. Open the review as the adjudicator {name}?"
    )
    return confirm(owner, title, text, action="Open the review")


def open_grader(
    owner: QWidget, title: str, session: GradingSession, name: str
) -> SessionGrader | None:
    """Open a grader's part; if another window writes in it, offer to read only.

    Parameters
    ----------
    owner, title
        Parent and title of the question.
    session, name
        The session, and the grader's name.

    Returns
    -------
    None if the user wants neither.

    Raises
    ------
    SessionError
        If the name cannot be one, or the log cannot be read.
    """
    try:
        return SessionGrader(session, name)
    except OutputError as error:
        if not confirm(owner, title, str(error), action="Open read-only"):
            return None
        return SessionGrader(session, name, read_only=True)


def find_unsaved(person: Participant) -> tuple[RecoveryFile, Recovery] | None:
    """Find what a person has not saved, now or at an earlier start.

    A file that is damaged, or whose image is missing, is reported and set aside; the latter is
    offered again at the next start.

    Returns
    -------
    The file, which is set aside, and what is in it; None if there is nothing.

    Raises
    ------
    OutputError
        If a file cannot be renamed.
    """
    if person.read_only:
        return None
    for file in (person.recovery, *person.recovery.aside()):
        is_new = file is person.recovery
        try:
            found = file.read()
        except SessionError as error:
            notify(f"{error} The file is now {file.set_aside(damaged=True).path.name}.")
            continue
        if found is None:
            continue
        aside = file.set_aside() if is_new else file
        try:
            person.session.found_path(found.image)
        except Sam2LoraError as error:
            notify(
                f"Unsaved work on {found.image} is kept in {aside.path.name}, and offered at the "
                f"next start. {error}"
            )
            continue
        return aside, found
    return None


def known_doubts(session: GradingSession) -> Mapping[str, Doubt]:
    """Return the doubts that were found in predictions; a damaged file is reported, and left."""
    try:
        return read_doubts(session)
    except SessionError as error:
        notify(str(error))
        return {}


def wants_back(owner: QWidget, title: str, found: Recovery) -> bool:
    """Ask whether what was not saved is brought back; it is deleted otherwise."""
    when = found.saved.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = (
        f"{found.image}: napari ended before everything was saved. Bring back what was there at "
        f"{when}, with its undo steps? If it is deleted, what was saved before is shown."
    )
    return keep_or_delete(owner, title, text, keep="Bring back", delete="Delete")
