"""A training that has not started: what was chosen for it, and the run folder made of that."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sam2lora._settings import preferences
from napari_sam2lora.training.data.pairs import Pair, is_single_patient
from napari_sam2lora.training.data.snapshot import DATA, write_snapshot
from sam2lora.adapters import Adapter, installed_names, is_installed, sort_by_preference
from sam2lora.annotations import LabelledImage
from sam2lora.errors import SettingsError
from sam2lora.runs import new_run, new_run_folder, runs_folder
from sam2lora.training.cli_command import command_of
from sam2lora.training.settings import TrainSettings, make_settings

PRESETS = {
    "quick": "Quick adapt",
    "standard": "Standard",
    "detail": "Detail head",
    "paper": "Paper",
    "low-memory": "Low memory",
}
"""Label of each preset in the dock."""


@dataclass(frozen=True)
class TrainingPlan:
    """What was chosen for a training.

    Attributes
    ----------
    target
        Name of the target to segment.
    model
        Name of the base model.
    preset
        Key of `PRESETS`.
    start_from
        Name of the initial adapter; None to train from scratch.
    name
        Name of the run; empty for the next free one.
    changes
        Settings that differ from the preset, nested as the settings are.
    pairs
        The selected pairs.
    """

    target: str = "vessel"
    model: str = "nano"
    preset: str = "quick"
    start_from: str | None = None
    name: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    pairs: Sequence[Pair] = ()

    def choices(self) -> tuple[object, ...]:
        """Return what two plans are compared by: all but the name and what the masks are now."""
        pairs = tuple(pair.key for pair in self.pairs)
        return (self.target, self.model, self.preset, self.start_from, str(self.changes), pairs)

    def settings(self) -> TrainSettings:
        """Return the settings; their data is relative to the run folder.

        Raises
        ------
        SettingsError
            If one is out of its range.
        """
        chosen = preferences()
        base: dict[str, Any] = {
            "target": self.target,
            "model": self.model,
            "data": [{"root": DATA}],
            "start_from": self.start_from,
            "device": chosen.device,
        }
        if self.preset != "paper":
            base["precision"] = chosen.precision
        if self.pairs and is_single_patient(self.pairs):
            base["validation"] = {"within_images": True}
        return make_settings(self.preset, base, self.changes)

    def run_name(self) -> str:
        """Return the name of the run: the chosen one, else the first free one of the target."""
        if self.name:
            return self.name
        taken = {name.casefold() for name in installed_names()}
        root = runs_folder()
        names = (f"{self.target}-{self.preset}-{number}" for number in range(1, 10**6))
        return next(
            name for name in names if name.casefold() not in taken and not (root / name).exists()
        )

    def command(self, run: Path | None = None) -> str:
        """Return the command that trains the same in a run folder with the written images.

        Parameters
        ----------
        run
            The run folder; None for that of the name it would have now.

        Raises
        ------
        SettingsError
            If a setting is out of its range.
        """
        run = run or runs_folder() / self.run_name()
        return command_of(self.settings().counted_from(run), run, preset=self.preset)

    def new_folder(self) -> Path:
        """Check that the plan can be trained, and return its run folder, which does not exist yet.

        Raises
        ------
        SettingsError
            If no pair is selected, the settings are invalid, or the name cannot be used.
        """
        if not self.pairs:
            raise SettingsError("Select at least one image with labels.")
        settings = self.settings()
        if settings.freeze_encoder and settings.start_from is None:
            raise SettingsError(
                f"Quick adapt continues from an adapter, and there is none of {self.target} on "
                f"{self.model}. Choose the preset Standard."
            )
        folder = new_run_folder(runs_folder(), self.run_name())
        if is_installed(folder.name):
            raise SettingsError(
                f"An adapter called {folder.name!r} already exists, and would be replaced. "
                "Choose another name."
            )
        return folder


def fitting_adapters(adapters: Iterable[Adapter], target: str, model: str) -> list[Adapter]:
    """Return the adapters a training can start from: those that came with the package first."""
    base = Path(model).stem
    found = [
        adapter
        for adapter in adapters
        if adapter.card.target.name == target and adapter.card.base.name == base
    ]
    return sort_by_preference(found)


def write_new_run(folder: Path, settings: TrainSettings, images: Iterable[LabelledImage]) -> Path:
    """Write the run folder of a plan; on an error nothing is left of it.

    Parameters
    ----------
    folder
        Run folder, from `TrainingPlan.new_folder`.
    settings
        Settings of the plan.
    images
        Images of the plan's pairs, from `labelled_images`.

    Returns
    -------
    The folder, in which `sam2lora train` can start.

    Raises
    ------
    Sam2LoraError
        If a pair cannot be read, or something cannot be written.
    """
    with new_run(folder) as partial:
        write_snapshot(partial, settings, images)
    return folder
