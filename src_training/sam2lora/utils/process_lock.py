"""One process per folder: a lock of the operating system, released when its holder dies."""

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from sam2lora.errors import OutputError
from sam2lora.utils.files import atomic_path, write_error

LOCK = ".lock"
HOLDER = ".holder.json"  # a separate file, because Windows does not let a locked one be read


class Holder(BaseModel):
    """The process that took the lock last; one that was killed stays recorded."""

    model_config = ConfigDict(frozen=True)

    pid: int
    host: str
    since: AwareDatetime


@contextmanager
def process_lock(folder: Path, *, refusal: Callable[[str], str]) -> Iterator[None]:
    """Keep every other process, and every other caller in this one, from locking a folder.

    Parameters
    ----------
    folder
        An existing folder.
    refusal
        Returns the message if the folder is locked, from a description of who holds it.

    Raises
    ------
    OutputError
        If another one holds the lock, or it cannot be written.
    """
    # Longer than `is_locked` holds the lock.
    with _locked(folder, timeout=1.0) as locked:
        if not locked:
            raise OutputError(refusal(_describe(holder_of(folder))))
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC)}
        with atomic_path(folder / HOLDER) as temporary:
            temporary.write_text(json.dumps(holder, default=str), encoding="utf-8")
        try:
            yield
        finally:
            (folder / HOLDER).unlink(missing_ok=True)


def is_locked(folder: Path) -> bool:
    """Check whether a folder is locked now; takes 20 ms if it is.

    If the lock cannot be tried, because the folder is gone or not writable, the result is False.
    """
    if not (folder / LOCK).exists():
        return False
    try:
        with _locked(folder, timeout=0.02) as locked:
            return not locked
    except OutputError:
        return False


def holder_of(folder: Path) -> Holder | None:
    """Return the process that took the lock last, if it is known."""
    try:
        return Holder.model_validate_json((folder / HOLDER).read_bytes())
    except (OSError, ValidationError):
        return None


@contextmanager
def _locked(folder: Path, *, timeout: float) -> Iterator[bool]:
    # A window may be closed by another thread than the one that opened it.
    lock = FileLock(folder / LOCK, thread_local=False)
    try:
        lock.acquire(timeout=timeout, poll_interval=0.005)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise write_error(folder / LOCK, error) from error
    try:
        yield True
    finally:
        lock.release()


def _describe(holder: Holder | None) -> str:
    if holder is None:
        return "another process"
    return f"process {holder.pid} on {holder.host} since {holder.since:%Y-%m-%d %H:%M} UTC"
