"""Make, rename and delete runs; one that is being trained is left alone."""

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
    """Give the folder for a run of that name, which its adapter can have too.

    Raises
    ------
    SettingsError
        If it cannot be a name, or something is called that already.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"{name!r} cannot be the name of a training. Use 1 to 64 letters, digits, '.', '_' and "
            "'-', with a letter or digit first and last."
        )
    if (root / name).exists():
        raise SettingsError(f"A training called {name!r} is there already. Choose another name.")
    return root / name


@contextmanager
def new_run(folder: Path) -> Iterator[Path]:
    """Create an empty folder beside `folder`, moved there when the block ends without error.

    So nobody finds half a run, and on any error nothing is left of it.

    Parameters
    ----------
    folder
        From `new_run_folder`.

    Raises
    ------
    OutputError
        If it cannot be written, or another run has got that name meanwhile.
    """
    with new_folder(folder) as partial:  # replaces nothing: a run cannot be made again
        yield partial


def rename_run(folder: Path, name: str) -> Path:
    """Call a run something else, in the folder where it is.

    Raises
    ------
    SettingsError
        If it cannot be a name, or is taken; or if the folder is no run.
    OutputError
        If the run is being trained, or cannot be moved.
    """
    _require_resting(folder)
    renamed = new_run_folder(folder.parent, name)
    try:
        folder.rename(renamed)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be renamed ({error.strerror or error}).") from error
    return renamed


def delete_run(folder: Path) -> None:
    """Delete a run with all that is in it.

    Raises
    ------
    SettingsError
        If the folder is no run.
    OutputError
        If the run is being trained, or cannot be deleted.
    """
    _require_resting(folder)
    remove_folder(folder)


def _require_resting(folder: Path) -> None:
    run = RunFolder(folder)
    if not (run.settings.exists() or run.events.exists() or run.checkpoint.exists()):
        raise SettingsError(f"{folder}: is no training.")
    if is_alive(folder):
        raise OutputError(f"{folder}: is being trained. Stop it first.")
