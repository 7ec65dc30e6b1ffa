"""The adapters a run wrote, one a validation, and which of them is the best."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sam2lora.errors import AdapterError
from sam2lora.utils.files import cannot_read, durable_path

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
        After which it was written.
    folder
        As `adapters.save_adapter` wrote it.
    dice
        Its mean validation Dice if it is the best one, else None.
    """

    step: int
    folder: Path
    dice: float | None = None


def list_adapters_of_run(run: Path) -> list[RunAdapter]:
    """Give the adapters in a run folder by step; what is half written has another name.

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
        raise cannot_read(folder, error) from error
    return sorted((RunAdapter(int(path.name), path) for path in found), key=lambda one: one.step)


def best_adapter(run: Path) -> RunAdapter | None:
    """Give the best adapter of a run; None before the first validation.

    Raises
    ------
    AdapterError
        If `best.json` is damaged, or names an adapter that is not there.
    """
    path = run / ADAPTERS / BEST
    try:
        best = _Best.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AdapterError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except ValidationError as error:
        raise AdapterError(
            f"{path}: does not name the best adapter. Choose one of those beside it."
        ) from error
    folder = run / ADAPTERS / best.adapter
    if not folder.is_dir():
        raise AdapterError(f"{path}: names {best.adapter}, which is not there any more.")
    return RunAdapter(best.step, folder, best.dice)


def set_best(run: Path, step: int, dice: float | None) -> None:
    """Name the adapter of a step, which has to be on disk, the best one.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    best = _Best(step=step, dice=dice, adapter=str(step))
    with durable_path(run / ADAPTERS / BEST) as temporary:
        temporary.write_text(best.model_dump_json() + "\n", encoding="utf-8")


def prune_adapters(run: Path, *, newest: int = 2) -> list[int]:
    """Delete all adapters but the best one and the newest.

    One that another program keeps open is left for the next time.

    Returns
    -------
    The steps whose adapters are gone.

    Raises
    ------
    AdapterError
        If the best one is not known: then nothing is deleted.
    """
    best = best_adapter(run)
    adapters = list_adapters_of_run(run)
    gone = []
    for adapter in adapters[: max(0, len(adapters) - newest)]:
        if best is None or adapter.step != best.step:
            # Out of sight first, so that nobody finds half an adapter.
            with suppress(OSError):
                adapter.folder.rename(adapter.folder.with_name(f".{adapter.step}{_PRUNED}"))
                gone.append(adapter.step)
    for folder in (run / ADAPTERS).glob(f".*{_PRUNED}"):
        shutil.rmtree(folder, ignore_errors=True)
    return gone
