"""Install the best adapter of a training, during or after it."""

from pathlib import Path

from sam2lora.adapters.card import read_card
from sam2lora.adapters.folder import CARD, Adapter
from sam2lora.adapters.store import (
    adapters_folder,
    best_adapter_folder,
    find_adapter,
    install_adapter,
    is_installed,
    open_adapter_or_run,
)
from sam2lora.errors import AdapterError, OutputError
from sam2lora.runs.run_adapters import best_adapter

_VARYING = frozenset({"step", "device", "precision", "processes", "batch"})
"""Keys of a card's `training` that differ between validations or computers of one training."""


def install_best(run: Path) -> Adapter:
    """Install the best adapter of a run under the run's name.

    An earlier adapter of the same training is replaced.

    Parameters
    ----------
    run
        The run folder.

    Raises
    ------
    AdapterError
        If the training has no adapter yet or trains a base model, or the name is not valid for an
        adapter or taken by another one.
    OutputError
        If the adapter cannot be written.
    """
    best = best_adapter(run)
    try:
        return _install(run)
    except (AdapterError, OutputError):
        # A running training may have deleted it because another one is the best now.
        if best_adapter(run) == best:
            raise
        return _install(run)


def is_best_installed(run: Path) -> bool:
    """Check whether the current best adapter of a run is installed under the run's name.

    The cards are compared, so an earlier, less good adapter of the run does not count.

    Parameters
    ----------
    run
        The run folder.

    Raises
    ------
    AdapterError
        If the training has no adapter yet, or trains a base model.
    """
    best = read_card(best_adapter_folder(run) / CARD).renamed(run.name)
    installed = adapters_folder() / run.name / CARD
    return installed.is_file() and read_card(installed) == best


def _install(run: Path) -> Adapter:
    best, name = open_adapter_or_run(run), run.name
    if is_installed(name) and _training_of(find_adapter(name)) != _training_of(best):
        raise AdapterError(
            f"Another adapter is already called {name!r}, so the adapter of this training was not "
            "installed. Rename one of the two."
        )
    return install_adapter(best, name=name, replace=True)


def _training_of(adapter: Adapter) -> tuple[object, ...]:
    """Return what identifies the training of an adapter and does not change during it."""
    card = adapter.card
    settings = {name: value for name, value in card.training.items() if name not in _VARYING}
    return settings, card.data_hash, card.base, card.target, card.started_from
