"""Show errors that a user can cause as notifications, without a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

from napari.utils.notifications import show_error

from sam2lora.errors import Sam2LoraError


@contextmanager
def show_user_errors() -> Iterator[None]:
    """Show a `Sam2LoraError` as a notification; any other error is raised."""
    try:
        yield
    except Sam2LoraError as error:
        show_error(str(error))
