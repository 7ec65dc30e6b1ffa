"""Write a session to a folder: the table of all, and one person's masks in every format."""

from pathlib import Path

from sam2lora.errors import SessionError
from sam2lora.grading import GradingSession, Review
from sam2lora.grading.mask_export import FORMATS, check_free, export_masks
from sam2lora.grading.session_table import write_session_table


def export_session(session: GradingSession, out: Path, name: str) -> str:
    """Write a session's states, times and numbers, and the masks that a grader is done with.

    What is sealed from the grader stays out of the table.

    Parameters
    ----------
    session
        The session.
    out
        The folder, created if missing.
    name
        The grader.

    Returns
    -------
    What was written, in a sentence.

    Raises
    ------
    Sam2LoraError
        If nobody has graded anything, the folder has an export already, or something cannot be read
        or written.
    """
    check_free(out)
    table, document = write_session_table(out, Review(session, viewer=name))
    text = f"Written to {out}: {table.name}, {document.name}"
    try:
        count = export_masks(out, Review(session, (name,)), name)
    except SessionError as error:  # the table is written all the same
        return f"{text}. {error}"
    return f"{text}; masks of {count} images: {', '.join(FORMATS)}."
