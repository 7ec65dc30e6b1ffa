"""Create, rename and delete runs, except those that are being trained."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.errors import OutputError, SettingsError
from sam2lora.runs.folder import RunFolder
from sam2lora.runs.lock import is_alive
from sam2lora.utils.folders import new_folder, remove_folder

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")


def new_run_folder(root: Path, name: str) -> Path:
    """Return the folder for a new run; its name is valid for its adapter too.

    Raises
    ------
    SettingsError
        If the name is not valid or already taken.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} is not a valid name for a training. Use 1 to 64 letters, digits, '.', '_' "
            "and '-', with a letter or digit first and last."
        )
    if (root / name).exists():
        raise SettingsError(f"A training called {name!r} already exists. Choose another name.")
    return root / name


@contextmanager
def new_run(folder: Path) -> Iterator[Path]:
    """Create an empty folder next to `folder`, moved there when the block ends without error.

    So an incomplete run is never visible, and on any error nothing is left of it.

    Parameters
    ----------
    folder
        A path from `new_run_folder`.

    Raises
    ------
    OutputError
        If the folder cannot be written, or another run took the name in the meantime.
    """
    with new_folder(folder) as partial:  # never replaces a run, which could not be recreated
        yield partial


def rename_run(folder: Path, name: str) -> Path:
    """Rename a run, within its folder.

    Raises
    ------
    SettingsError
        If the name is not valid or already taken, or the folder is not a run.
    OutputError
        If the run is being trained, or cannot be moved.
    """
    _require_idle(folder)
    renamed = new_run_folder(folder.parent, name)
    try:
        folder.rename(renamed)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be renamed ({error.strerror or error}).") from error
    return renamed


def delete_run(folder: Path) -> None:
    """Delete a run with everything in it.

    Raises
    ------
    SettingsError
        If the folder is not a run.
    OutputError
        If the run is being trained, or cannot be deleted.
    """
    _require_idle(folder)
    remove_folder(folder)


def _require_idle(folder: Path) -> None:
    run = RunFolder(folder)
    if not (run.settings.exists() or run.events.exists() or run.checkpoint.exists()):
        raise SettingsError(f"{folder}: is not a training.")
    if is_alive(folder):
        raise OutputError(f"{folder}: is being trained. Stop it first.")
