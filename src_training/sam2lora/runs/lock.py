"""One process per run, by the lock of its folder."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.errors import OutputError
from sam2lora.utils.process_lock import is_locked, process_lock


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

    def refusal(holder: str) -> str:
        return (
            f"{folder}: is already being trained by {holder}. Wait until it ends, or stop it with "
            f"a file named stop in {folder / 'control'}."
        )

    with process_lock(folder, refusal=refusal):
        yield


def is_alive(folder: Path) -> bool:
    """Check whether a process trains in this run folder now; takes 20 ms if one does.

    If the lock cannot be tried, because the folder is gone or not writable, the result is False.
    """
    return is_locked(folder)
