"""Install the best adapter of a training, while it goes on or after it."""

from pathlib import Path

from sam2lora.adapters.card import read_card
from sam2lora.adapters.folder import CARD, Adapter
from sam2lora.adapters.store import (
    adapter_in,
    adapters_folder,
    best_in,
    find_adapter,
    install_adapter,
    is_installed,
)
from sam2lora.errors import AdapterError, OutputError
from sam2lora.runs.run_adapters import best_adapter

_CHANGES = frozenset({"step", "device", "precision", "processes", "batch"})
"""Of a card's `training`: what is another thing at the next validation, or on another computer."""


def install_best(run: Path) -> Adapter:
    """Put the best adapter of a run among the user's own, under the run's name.

    An earlier one of the same training is replaced.

    Parameters
    ----------
    run
        The run folder.

    Raises
    ------
    AdapterError
        If the training has no adapter yet or makes a base model, the name cannot be an adapter's,
        or another adapter has it.
    OutputError
        If it cannot be written.
    """
    best = best_adapter(run)
    try:
        return _install(run)
    except (AdapterError, OutputError):
        # A training that goes on deletes what is no longer its best.
        if best_adapter(run) == best:
            raise
        return _install(run)


def is_best_installed(run: Path) -> bool:
    """Tell whether what is best in a run now is among the user's own, under the run's name.

    Their cards are compared: one that was installed before the run became better is another one.

    Parameters
    ----------
    run
        The run folder.

    Raises
    ------
    AdapterError
        If the training has no adapter yet, or makes a base model.
    """
    wanted = read_card(best_in(run) / CARD).renamed(run.name)
    own = adapters_folder() / run.name / CARD
    return own.is_file() and read_card(own) == wanted


def _install(run: Path) -> Adapter:
    best, name = adapter_in(run), run.name
    if is_installed(name) and _training_of(find_adapter(name)) != _training_of(best):
        raise AdapterError(
            f"Another adapter is called {name!r} already, so that of this training is not "
            "installed. Rename one of the two."
        )
    return install_adapter(best, name=name, replace=True)


def _training_of(adapter: Adapter) -> tuple[object, ...]:
    """Give what tells trainings apart, and stays the same while one goes on."""
    card = adapter.card
    settings = {name: value for name, value in card.training.items() if name not in _CHANGES}
    return settings, card.data_hash, card.base, card.target, card.started_from
