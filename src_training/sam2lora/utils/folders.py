"""Write a whole folder so that a reader never sees half of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sam2lora.errors import AdapterError, OutputError
from sam2lora.utils.files import make_folder

_PATIENCE = 60.0  # seconds to wait for another process that writes beside


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Give an empty folder beside `path`, moved to `path` when the block ends without error.

    On any error it is deleted, and an older `path` stays as it was. Where the computer stops
    between the two moves of a replacement, `repair` puts the older one back.

    Parameters
    ----------
    path
        The folder to write.
    replace
        Whether an older one may be replaced.

    Raises
    ------
    AdapterError
        If there is one already and `replace` is off.
    OutputError
        If the operating system refuses to write.
    """
    make_folder(path.parent)
    partial, replaced = _partial(path), _replaced(path)
    with locked(path.parent), _writing(path):
        _repair(path)
        if path.exists() and not replace:
            raise AdapterError(
                f"{path}: is there already. Choose another name, or allow to replace it."
            )
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            _sync(partial)
            if path.exists():
                path.rename(replaced)
            partial.rename(path)
        finally:
            _repair(path)
            shutil.rmtree(partial, ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Delete a folder so that it is either there as it was or gone.

    Raises
    ------
    OutputError
        If the operating system refuses to.
    """
    partial = _partial(path)
    with locked(path.parent), _writing(path):
        shutil.rmtree(partial, ignore_errors=True)
        path.rename(partial)
        shutil.rmtree(partial)


def repair(folder: Path) -> None:
    """Put back folders inside `folder` whose replacement was cut off, if there are any.

    Raises
    ------
    OutputError
        If the operating system refuses to.
    """
    if not any(folder.glob(".*.replaced")):
        return
    with locked(folder), _writing(folder):
        for replaced in folder.glob(".*.replaced"):
            _repair(folder / replaced.name.removeprefix(".").removesuffix(".replaced"))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from changing what is in `folder` meanwhile.

    Raises
    ------
    OutputError
        If another process does not finish in a minute.
    """
    try:
        with FileLock(folder / ".lock", timeout=_PATIENCE):
            yield
    except Timeout as error:
        raise OutputError(
            f"{folder}: another process has been writing here for a minute. Try again later."
        ) from error


def _repair(path: Path) -> None:
    """Bring `path` and what it replaced to one folder: the new one if it is there."""
    replaced = _replaced(path)
    if replaced.exists() and not path.exists():
        replaced.rename(path)
    shutil.rmtree(replaced, ignore_errors=True)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        with path.open("rb+") as stream:
            os.fsync(stream.fileno())


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.partial")


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")
