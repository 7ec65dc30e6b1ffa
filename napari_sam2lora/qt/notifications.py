"""Show errors that a user can cause as notifications, without a traceback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error, show_info, show_warning
from napari.viewer import current_viewer
from qtpy.QtCore import QObject

from napari_sam2lora.qt.message_log import MessageLog
from sam2lora.errors import Sam2LoraError

_FOLDERS = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[^\\/:\n]+[\\/])+(?=[^\\/\s])")
"""The folders of an absolute path, before the name of the file."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")
_SHOWN = 120  # characters of a notification that napari shows without cutting it off
_MORE = "More under Messages in the dock."
_SHOW = {"error": show_error, "warning": show_warning, "info": show_info}


@contextmanager
def show_user_errors(owner: QObject | None = None) -> Iterator[None]:
    """Show a `Sam2LoraError` as a notification; any other error is raised.

    Parameters
    ----------
    owner
        As of `notify`.
    """
    try:
        yield
    except Sam2LoraError as error:
        notify(str(error), owner)


def notify(text: str, owner: QObject | None = None, *, kind: str = "error") -> None:
    """Show a notification, the reason first; a long one as one sentence, and in full in a dock.

    napari cuts a notification off after a few lines.

    Parameters
    ----------
    text
        What is shown.
    owner
        The dock it is about, or a part of it; None: a dock of the current window, if one is open.
    kind
        error, warning or info.
    """
    log = _log_around(owner) or _log_in_window()
    if log is not None:
        log.add(text)
    whole = reason_first(text)
    _SHOW[kind](whole if log is None else shortened(whole))


def reason_first(text: str) -> str:
    """Return a message with file names in place of paths, and the paths at its end."""
    folders = list(dict.fromkeys(_FOLDERS.findall(text)))
    if not folders:
        return text
    short = _FOLDERS.sub("", text)
    return f"{short}\n(in {', '.join(folder[:-1] for folder in folders)})"


def shortened(text: str) -> str:
    """Return the first sentence of a long message, and where the rest is; a short one as it is."""
    first = _SENTENCE.split(text, maxsplit=1)[0]
    return text if len(text) <= _SHOWN or first == text else f"{first} {_MORE}"


def _log_around(owner: QObject | None) -> MessageLog | None:
    """Return the log of the dock that an object belongs to."""
    while owner is not None:
        log = getattr(owner, "messages", None)
        if isinstance(log, MessageLog):
            return log
        owner = owner.parent()
    return None


def _log_in_window() -> MessageLog | None:
    """Return the log of a dock of the current window; None without one."""
    viewer = current_viewer()
    docks = () if viewer is None else viewer.window.dock_widgets.values()
    logs = (getattr(dock, "messages", None) for dock in docks)
    return next((log for log in logs if isinstance(log, MessageLog)), None)
