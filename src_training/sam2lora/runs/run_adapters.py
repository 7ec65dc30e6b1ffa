"""The adapters of a run, one per validation, and which of them is the best."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sam2lora.errors import AdapterError
from sam2lora.runs.checkpoint import RESUME_ADVICE
from sam2lora.utils.files import durable_path, read_error
from sam2lora.utils.json_files import read_json_object

ADAPTERS = "adapters"
BEST = "best.json"
_PRUNED = ".pruned"


class _Best(BaseModel):
    """Content of `best.json`."""

    model_config = ConfigDict(frozen=True)

    step: Annotated[int, Field(ge=0)]
    dice: float | None
    adapter: Annotated[str, Field(pattern=r"^[0-9]+$")]


@dataclass(frozen=True)
class RunAdapter:
    """An adapter inside a run.

    Attributes
    ----------
    step
        Step after which it was written.
    folder
        Folder of the adapter.
    dice
        Its mean validation Dice if it is the best one, else None.
    """

    step: int
    folder: Path
    dice: float | None = None


def list_adapters_of_run(run: Path) -> list[RunAdapter]:
    """List the adapters in a run folder by step; incomplete ones have other names.

    Raises
    ------
    SettingsError
        If the folder cannot be read.
    """
    folder = run / ADAPTERS
    try:
        found = [path for path in folder.iterdir() if path.name.isdecimal() and path.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise read_error(folder, error) from error
    return sorted(
        (RunAdapter(int(path.name), path) for path in found), key=lambda adapter: adapter.step
    )


def best_adapter(run: Path) -> RunAdapter | None:
    """Return the best adapter of a run; None before the first validation.

    Raises
    ------
    AdapterError
        If `best.json` is damaged, or names an adapter that does not exist.
    """
    path = run / ADAPTERS / BEST
    try:
        best = _Best.model_validate(read_json_object(path, error=AdapterError))
    except AdapterError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise AdapterError(f"{error} Choose one of the adapters next to it.") from error
    except ValidationError as error:
        raise AdapterError(
            f"{path}: does not name the best adapter. Choose one of those next to it."
        ) from error
    folder = run / ADAPTERS / best.adapter
    if not folder.is_dir():
        raise AdapterError(f"{path}: names {best.adapter}, which no longer exists.")
    return RunAdapter(best.step, folder, best.dice)


def set_best(run: Path, step: int, dice: float | None) -> None:
    """Mark the adapter of a step, which must be on disk, as the best one.

    Raises
    ------
    OutputError
        If `best.json` cannot be written.
    """
    best = _Best(step=step, dice=dice, adapter=str(step))
    with durable_path(run / ADAPTERS / BEST, advice=RESUME_ADVICE) as temporary:
        temporary.write_text(best.model_dump_json() + "\n", encoding="utf-8")


def prune_adapters(run: Path, *, newest: int = 2) -> list[int]:
    """Delete all adapters but the best and the newest ones.

    An adapter that another program keeps open is left until the next time.

    Returns
    -------
    Steps of the deleted adapters.

    Raises
    ------
    AdapterError
        If the best one is unknown; then nothing is deleted.
    """
    best = best_adapter(run)
    adapters = list_adapters_of_run(run)
    deleted = []
    for adapter in adapters[: max(0, len(adapters) - newest)]:
        if best is None or adapter.step != best.step:
            # Hidden first, so that a half-deleted adapter is never visible.
            with suppress(OSError):
                adapter.folder.rename(adapter.folder.with_name(f".{adapter.step}{_PRUNED}"))
                deleted.append(adapter.step)
    for folder in (run / ADAPTERS).glob(f".*{_PRUNED}"):
        shutil.rmtree(folder, ignore_errors=True)
    return deleted
