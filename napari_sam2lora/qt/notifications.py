"""Show errors that a user can cause as notifications, without a traceback."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error

from sam2lora.errors import Sam2LoraError

_FOLDERS = re.compile(r"(?:[A-Za-z]:)?[\\/](?:[^\\/:\n]+[\\/])+(?=[^\\/\s])")
"""The folders of an absolute path, before the name of the file."""


@contextmanager
def show_user_errors() -> Iterator[None]:
    """Show a `Sam2LoraError` as a notification; any other error is raised."""
    try:
        yield
    except Sam2LoraError as error:
        notify(str(error))


def notify(text: str) -> None:
    """Show an error as a notification, the reason first.

    napari cuts a notification off after a few lines: a long path must not take them.
    """
    show_error(reason_first(text))


def reason_first(text: str) -> str:
    """Return a message with file names in place of paths, and the paths at its end."""
    folders = list(dict.fromkeys(_FOLDERS.findall(text)))
    if not folders:
        return text
    short = _FOLDERS.sub("", text)
    return f"{short}\n(in {', '.join(folder[:-1] for folder in folders)})"
