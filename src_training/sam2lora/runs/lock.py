"""One process a run: a lock of the operating system, which the death of its holder releases."""

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
from sam2lora.utils.files import atomic_path, cannot_write

_LOCK = ".lock"
_HOLDER = ".holder.json"  # beside the lock, because Windows keeps a locked file from being read


class Holder(BaseModel):
    """Who took the lock last; a killed process cannot take this back."""

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
        If one does already; the message says which. Or if the folder is gone or cannot be written.
    """
    if not folder.is_dir():  # filelock would make it
        raise OutputError(f"{folder}: is not there any more, so nothing can be trained in it.")
    # Longer than the instant for which `is_alive` tries the lock.
    with _locked(folder, timeout=1.0) as locked:
        if not locked:
            raise OutputError(
                f"{folder}: is being trained already by {_in_words(holder_of(folder))}. Wait until "
                f"it ends, or ask it to by a file named stop in {folder / 'control'}."
            )
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC)}
        with atomic_path(folder / _HOLDER) as temporary:
            temporary.write_text(json.dumps(me, default=str), encoding="utf-8")
        try:
            yield
        finally:
            (folder / _HOLDER).unlink(missing_ok=True)


def is_alive(folder: Path) -> bool:
    """Tell whether a process trains in this run folder now; takes 20 ms if one does.

    Where the lock cannot be tried, because the folder is gone or belongs to someone else, the
    answer is no.
    """
    if not (folder / _LOCK).exists():
        return False
    try:
        with _locked(folder, timeout=0.02) as locked:
            return not locked
    except OutputError:
        return False


def holder_of(folder: Path) -> Holder | None:
    """Give who took the lock last, if that is known."""
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
        raise cannot_write(folder / _LOCK, error) from error
    try:
        yield True
    finally:
        lock.release()


def _in_words(holder: Holder | None) -> str:
    if holder is None:
        return "another process"
    return f"process {holder.pid} on {holder.host} since {holder.since:%Y-%m-%d %H:%M} UTC"
