"""Write a folder that appears whole or not at all, in the place of an older one or of none.

It is written beside its place, as `.NAME.partial`, and moved there once it is complete and on disk.
An older one is first moved aside, to `.NAME.replaced`; where a process is killed between these two
moves, the older one is put back by whoever writes or recovers that folder next. `.NAME.lock` keeps
other processes away meanwhile; the system releases it when its holder dies.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sam2lora.errors import OutputError
from sam2lora.utils.files import make_folder, sync_folder

Check = Callable[[Path], None]
"""Called with a folder that is to be replaced; raises the error that says why it must not be."""

_PATIENCE = 60.0  # seconds to wait for another process that writes the same folder


@contextmanager
def new_folder(path: Path, *, replace: bool = False, check: Check | None = None) -> Iterator[Path]:
    """Create an empty folder beside `path`, moved to `path` when the block ends without error.

    On any error it is deleted, and an older `path` stays as it was. What a killed process left of
    the same folder is put back or deleted first.

    Parameters
    ----------
    path
        The folder to write; its parents are made.
    replace
        Whether an older one may be replaced.
    check
        Decides whether what is at `path` is ours to replace; called before the block and, since
        something may have come meanwhile, again after it.

    Yields
    ------
    The folder to write into, on the same file system as `path`.

    Raises
    ------
    OutputError
        If there is one already and `replace` is off, another process does not finish writing it in
        a minute, or the operating system refuses to write.
    Exception
        What `check` raises.
    """
    make_folder(path.parent)
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
            if path.exists():
                path.rename(replaced)
            partial.rename(path)
            with suppress(OSError):  # not every file system can; the folder is whole without it
                sync_folder(path.parent)
        finally:
            _recover(path)
            shutil.rmtree(partial, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Delete a folder so that it is either there as it was or gone.

    Raises
    ------
    OutputError
        If it is not there, another process does not finish writing it in a minute, or the operating
        system refuses to delete it.
    """
    partial = _beside(path, "partial")
    with _explained(path, "deleted"), _locked(path):
        _recover(path)
        shutil.rmtree(partial, ignore_errors=True)
        path.rename(partial)
        shutil.rmtree(partial)


def recover_folder(path: Path) -> None:
    """Put back a folder whose replacement was cut off, if it was.

    Raises
    ------
    OutputError
        If the operating system refuses to.
    """
    if not _beside(path, "replaced").exists():
        return
    with _explained(path, "written"), _locked(path):
        _recover(path)


def recover_folders(parent: Path) -> None:
    """Put back all folders inside `parent` whose replacement was cut off.

    Raises
    ------
    OutputError
        If the operating system refuses to.
    """
    for replaced in parent.glob(".*.replaced"):
        recover_folder(parent / replaced.name.removeprefix(".").removesuffix(".replaced"))


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes from writing, replacing or deleting the same folder."""
    file = _beside(path, "lock")
    lock = FileLock(file, timeout=_PATIENCE)
    try:
        lock.acquire()
        while not file.exists():  # an unlinked file was locked; older filelocks do not notice
            lock.release()
            lock.acquire()
    except Timeout as error:
        raise OutputError(
            f"{path}: another process has been writing it for a minute. Try again later."
        ) from error
    try:
        yield
    finally:
        if os.name != "nt":  # there filelock does so itself
            file.unlink(missing_ok=True)  # while it is held, so that nobody else's is deleted
        lock.release()


def _check_free(path: Path, *, replace: bool, check: Check | None) -> None:
    """Check whether a folder may be moved to `path`."""
    if not path.exists():
        return
    if not replace:
        raise OutputError(f"{path}: is there already. Choose another name.")
    if check is not None:
        check(path)


def _recover(path: Path) -> None:
    """Bring `path` and what it replaced to one folder: the new one if it is there."""
    partial, replaced = _beside(path, "partial"), _beside(path, "replaced")
    if not replaced.exists():
        return
    if not path.exists():
        replaced.rename(path)
        return
    # Renamed before it is deleted, so that half of it is never put back.
    shutil.rmtree(partial, ignore_errors=True)
    replaced.rename(partial)
    shutil.rmtree(partial, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Bring every file in `folder`, at any depth, to disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            # Windows syncs only what may be written; elsewhere a copied file may be read-only.
            with (Path(place) / name).open("rb+" if os.name == "nt" else "rb") as stream:
                os.fsync(stream.fileno())


@contextmanager
def _explained(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be {what} ({error.strerror or error}). Check the space and "
            "permissions there."
        ) from error


def _beside(path: Path, what: str) -> Path:
    return path.parent / f".{path.name}.{what}"
