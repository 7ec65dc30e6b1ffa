"""Open a grader's part of a session in a window, with what was not saved before a crash."""

from qtpy.QtWidgets import QWidget

from napari_sam2lora.qt.dialogs import confirm, keep_or_delete
from napari_sam2lora.qt.notifications import notify
from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import GradingSession, Participant, Recovery, SessionGrader


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
        if not confirm(owner, title, str(error), action="Open to read only"):
            return None
        return SessionGrader(session, name, read_only=True)


def find_unsaved(person: Participant) -> Recovery | None:
    """Return what a person has not saved; a damaged file is reported, and counts as none.

    Raises
    ------
    SessionError
        If the session does not have its image.
    ImageError
        If the file of its image is missing: grading another one would replace what was not saved.
    """
    if person.read_only:
        return None
    try:
        found = person.recovery.read()
    except SessionError as error:
        notify(str(error))
        return None
    if found is not None:
        person.session.found_path(found.image)
    return found


def wants_back(owner: QWidget, title: str, found: Recovery) -> bool:
    """Ask whether what was not saved is brought back; it is deleted otherwise."""
    when = found.saved.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    text = (
        f"{found.image}: napari ended before everything was saved. Bring back what was there at "
        f"{when}, with its undo steps? If it is deleted, what was saved before is shown."
    )
    return keep_or_delete(owner, title, text, keep="Bring back", delete="Delete")
