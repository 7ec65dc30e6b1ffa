"""Write files atomically, and describe what cannot be read or written."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from sam2lora.errors import OutputError, SettingsError
from sam2lora.utils.leftovers import remove_leftovers, temporary_name


def make_folder(folder: Path) -> Path:
    """Create `folder` with its parents, and check that a file can be written there.

    What killed processes of this project left in it is deleted.

    Raises
    ------
    OutputError
        If the folder cannot be created, is a file, or is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Hidden: some file systems show it for a moment.
        with tempfile.TemporaryFile(dir=folder, prefix="."):
            pass
        remove_leftovers(folder)
    except OSError as error:
        raise write_error(folder, error) from error
    return folder


def is_file(path: Path) -> bool:
    """Check whether a path is a file; one that the system cannot have, as too long, is not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


@contextmanager
def atomic_path(path: Path, *, advice: str = "") -> Iterator[Path]:
    """Create a temporary file next to `path`, moved to `path` when the block ends without error.

    It keeps the suffix of `path`, by which libraries choose the format, and is synced to disk
    before the move. On any error it is deleted, and an existing `path` is left unchanged.

    Parameters
    ----------
    path
        The file to write.
    advice
        As in `write_error`.

    Yields
    ------
    Path of the temporary file.

    Raises
    ------
    OutputError
        If the operating system refuses to write (permission, disk full, no such folder).
    """
    # Independent of the stem, which may be as long as the file system allows.
    temporary = path.with_name(f".{temporary_name()}{path.suffix}")
    try:
        _remove_leftovers_once(path.parent)
        # Not by mkstemp, whose files are private instead of following the umask.
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise write_error(path, error, advice=advice) from error
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise write_error(path, error, advice=advice) from error
    finally:
        temporary.unlink(missing_ok=True)


@lru_cache(maxsize=64)
def _remove_leftovers_once(folder: Path) -> None:
    """Delete leftovers in a folder, but not at each of thousands of files written there."""
    remove_leftovers(folder)


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def durable_path(path: Path, *, advice: str = "") -> Iterator[Path]:
    """Create a temporary file as `atomic_path` does, and sync the folder after the move.

    Parameters
    ----------
    path, advice
        As in `atomic_path`.

    Yields
    ------
    Path of the temporary file.

    Raises
    ------
    OutputError
        If the operating system refuses to write.
    """
    with atomic_path(path, advice=advice) as temporary:
        yield temporary
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error, advice=advice) from error


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder to disk; Windows does so by itself."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_error(path: Path, error: OSError, *, advice: str = "") -> OutputError:
    """Return the error to raise for a file or folder that cannot be written.

    Parameters
    ----------
    path
        The file or folder.
    error
        What the operating system reported.
    advice
        What to do once there is space and permission; by default, to choose another path.
    """
    remedy = f". {advice}" if advice else ", or choose another path."
    return OutputError(
        f"{path}: cannot be written ({error.strerror or error}). Check the space and permissions "
        f"there{remedy}"
    )


def read_error(path: Path, error: OSError) -> SettingsError:
    """Return the error to raise for a file or folder that cannot be read."""
    return SettingsError(f"{path}: cannot be read ({error.strerror or error}).")
