"""Write files so that a reader never sees half of one."""

import hashlib
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.errors import OutputError, SettingsError


def make_folder(folder: Path) -> Path:
    """Create `folder` with its parents and prove that a file can be written there.

    Raises
    ------
    OutputError
        If the folder cannot be made, is a file, or does not let us write.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Hidden: some file systems show it for a moment.
        with tempfile.TemporaryFile(dir=folder, prefix="."):
            pass
    except OSError as error:
        raise _output_error(folder, error) from error
    return folder


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved over `path` when the block ends without error.

    The temporary file keeps the suffix of `path`, so that libraries which choose a format by suffix
    do so, and is synced to disk before the move. On any error it is deleted and an older `path`
    stays as it was.

    Raises
    ------
    OutputError
        If the operating system refuses to write (permission, disk full, no such folder).
    """
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        # Not by mkstemp: its files are private, where others get the permissions of the umask.
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise _output_error(path, error) from error
    try:
        yield temporary
        with temporary.open("rb+") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(
        f"{path}: cannot be written ({reason}). Check the space and permissions there, or choose "
        "another place."
    )


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
