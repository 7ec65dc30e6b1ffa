"""Errors of the input as notifications: a message in words, where a traceback helps nobody."""

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error

from sam2lora.errors import Sam2LoraError


@contextmanager
def show_user_errors() -> Iterator[None]:
    """Show an error that a user can cause as a notification; a defect goes on as it is."""
    try:
        yield
    except Sam2LoraError as error:
        show_error(str(error))
