"""Write into a run so that it survives a crash of the computer, and say so when that fails."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.errors import OutputError, SettingsError
from sam2lora.files import atomic_path


@contextmanager
def durable_path(path: Path) -> Iterator[Path]:
    """Give a temporary path as `files.atomic_path` does, and sync the folder after the move.

    Raises
    ------
    OutputError
        If the operating system refuses to write.
    """
    try:
        with atomic_path(path) as temporary:
            yield temporary
        sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    except OutputError as error:
        if isinstance(error.__cause__, OSError):
            raise cannot_write(path, error.__cause__) from error
        raise


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a crash of the computer; Windows does so by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def cannot_write(path: Path, error: OSError) -> OutputError:
    """Say that a file of a run cannot be written, and what to do."""
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}). Check the space and permissions "
        "there. A training goes on from its last checkpoint with: sam2lora train RUN"
    )


def cannot_read(path: Path, error: OSError) -> SettingsError:
    """Say that a file of a run cannot be read."""
    return SettingsError(f"{path}: cannot be read ({error.strerror or error}).")
