"""Write, replace and delete folders atomically.

A folder is written as `.NAME.partial` next to its final path, and moved there once it is complete
and on disk. It is exchanged with an older one in one step. Where that is impossible, the older one
is first moved to `.NAME.replaced`; if a process is killed between these two moves, the next process
that writes or recovers the folder puts the older one back. `.NAME.lock` keeps other processes away
in the meantime; the system releases it when its holder dies.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sam2lora.errors import OutputError
from sam2lora.utils.exchange import exchange
from sam2lora.utils.files import make_folder, sync_folder

Check = Callable[[Path], None]
"""Called with a folder that is to be replaced; raises an error if it must not be."""

_TIMEOUT = 60.0  # seconds to wait for another process that writes the same folder


@contextmanager
def new_folder(path: Path, *, replace: bool = False, check: Check | None = None) -> Iterator[Path]:
    """Create an empty folder next to `path`, moved to `path` when the block ends without error.

    On any error it is deleted, and an existing `path` is left unchanged. What killed processes
    left next to it is recovered or deleted first.

    Parameters
    ----------
    path
        The folder to write; its parents are created.
    replace
        Whether an existing folder may be replaced.
    check
        Raises if the existing `path` must not be replaced; called before the block and again after
        it, since another process may have written there.

    Yields
    ------
    The folder to write into, on the same file system as `path`.

    Raises
    ------
    OutputError
        If it already exists and `replace` is off, another process does not finish writing it
        within a minute, or the operating system refuses to write.
    Exception
        Whatever `check` raises.
    """
    make_folder(path.parent)
    _delete_dead(path.parent)
    partial, replaced = _beside(path, "partial"), _beside(path, "replaced")
    with _explained(path, "written"), _locked(path):
        _recover(path)
        _check_free(path, replace=replace, check=check)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            _sync(partial)
            _check_free(path, replace=replace, check=check)
            if not (path.exists() and exchange(partial, path)):
                if path.exists():
                    path.rename(replaced)
                partial.rename(path)
            with suppress(OSError):  # not supported by every file system, and not essential
                sync_folder(path.parent)
        finally:
            _recover(path)
            shutil.rmtree(partial, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Delete a folder atomically: it is either unchanged or gone.

    Raises
    ------
    OutputError
        If it does not exist, another process does not finish writing it within a minute, or the
        operating system refuses to delete it.
    """
    partial = _beside(path, "partial")
    with _explained(path, "deleted"), _locked(path):
        _recover(path)
        shutil.rmtree(partial, ignore_errors=True)
        path.rename(partial)
        shutil.rmtree(partial)


def recover_folder(path: Path) -> None:
    """Put back a folder if its replacement was interrupted.

    Raises
    ------
    OutputError
        If the operating system refuses.
    """
    if not _beside(path, "replaced").exists():
        return
    with _explained(path, "written"), _locked(path):
        _recover(path)


def recover_folders(parent: Path) -> None:
    """Put back all folders inside `parent` whose replacement was interrupted.

    Raises
    ------
    OutputError
        If the operating system refuses.
    """
    for replaced in parent.glob(".*.replaced"):
        recover_folder(parent / replaced.name.removeprefix(".").removesuffix(".replaced"))


@contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Keep other processes from writing, replacing or deleting the same folder."""
    file = _beside(path, "lock")
    lock = FileLock(file, timeout=_TIMEOUT if wait else 0)
    try:
        lock.acquire()
        while not file.exists():  # locked after it was unlinked; old versions of filelock miss that
            lock.release()
            lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"{path}: another process has been writing it for a minute. Try again later."
        ) from error
    try:
        yield
    finally:
        if os.name != "nt":  # on Windows filelock does so itself
            file.unlink(missing_ok=True)  # while held, so that no other process's is deleted
        lock.release()


def _delete_dead(parent: Path) -> None:
    """Delete the folders inside `parent` that a killed process has not completed."""
    for partial in parent.glob(".*.partial"):
        path = parent / partial.name.removeprefix(".").removesuffix(".partial")
        # Without a lock file, it is not ours; and one that is held has a living holder.
        if not _beside(path, "lock").exists():
            continue
        with suppress(OSError, OutputError), _locked(path, wait=False):
            shutil.rmtree(partial, ignore_errors=True)


def _check_free(path: Path, *, replace: bool, check: Check | None) -> None:
    """Check whether a folder may be moved to `path`."""
    if not path.exists():
        return
    if not replace:
        raise OutputError(f"{path}: already exists. Choose another name.")
    if check is not None:
        check(path)


def _recover(path: Path) -> None:
    """Keep one of `path` and the folder it replaced: the new one if it exists."""
    partial, replaced = _beside(path, "partial"), _beside(path, "replaced")
    if not replaced.exists():
        return
    if not path.exists():
        replaced.rename(path)
        return
    # Renamed before it is deleted, so that a half-deleted folder is never put back.
    shutil.rmtree(partial, ignore_errors=True)
    replaced.rename(partial)
    shutil.rmtree(partial, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Sync every file in `folder`, at any depth, to disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            # Windows syncs only files opened for writing; elsewhere a file may be read-only.
            with (Path(place) / name).open("rb+" if os.name == "nt" else "rb") as stream:
                os.fsync(stream.fileno())


@contextmanager
def _explained(path: Path, action: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be {action} ({error.strerror or error}). Check the space and "
            "permissions there."
        ) from error


def _beside(path: Path, what: str) -> Path:
    return path.parent / f".{path.name}.{what}"
