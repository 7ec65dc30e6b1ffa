"""One process per run: a lock of the operating system, released when its holder dies."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from sam2lora.errors import OutputError
from sam2lora.utils.files import atomic_path, write_error

_LOCK = ".lock"
_HOLDER = ".holder.json"  # a separate file, because Windows does not let a locked one be read


class Holder(BaseModel):
    """The process that took the lock last; one that was killed stays recorded."""

    model_config = ConfigDict(frozen=True)

    pid: int
    host: str
    since: AwareDatetime


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Keep every other process from training in this run folder.

    Raises
    ------
    OutputError
        If another process already does (the message says which), or the folder is gone or cannot
        be written.
    """
    if not folder.is_dir():  # filelock would create it
        raise OutputError(f"{folder}: no longer exists, so nothing can be trained in it.")
    # Longer than `is_alive` holds the lock.
    with _locked(folder, timeout=1.0) as locked:
        if not locked:
            raise OutputError(
                f"{folder}: is already being trained by {_describe(holder_of(folder))}. Wait until "
                f"it ends, or stop it with a file named stop in {folder / 'control'}."
            )
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC)}
        with atomic_path(folder / _HOLDER) as temporary:
            temporary.write_text(json.dumps(holder, default=str), encoding="utf-8")
        try:
            yield
        finally:
            (folder / _HOLDER).unlink(missing_ok=True)


def is_alive(folder: Path) -> bool:
    """Check whether a process trains in this run folder now; takes 20 ms if one does.

    If the lock cannot be tried, because the folder is gone or not writable, the result is False.
    """
    if not (folder / _LOCK).exists():
        return False
    try:
        with _locked(folder, timeout=0.02) as locked:
            return not locked
    except OutputError:
        return False


def holder_of(folder: Path) -> Holder | None:
    """Return the process that took the lock last, if it is known."""
    try:
        return Holder.model_validate_json((folder / _HOLDER).read_bytes())
    except (OSError, ValidationError):
        return None


@contextmanager
def _locked(folder: Path, *, timeout: float) -> Iterator[bool]:
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=timeout, poll_interval=0.005)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise write_error(folder / _LOCK, error) from error
    try:
        yield True
    finally:
        lock.release()


def _describe(holder: Holder | None) -> str:
    if holder is None:
        return "another process"
    return f"process {holder.pid} on {holder.host} since {holder.since:%Y-%m-%d %H:%M} UTC"
