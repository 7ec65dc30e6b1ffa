"""What is chosen for the next training, and the settings that make of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sam2lora._settings import preferences
from napari_sam2lora.training.data.pairs import Pair, is_single_patient
from napari_sam2lora.training.data.snapshot import DATA, PairSource, sources_of, write_run
from sam2lora.adapters import Adapter, installed_names, is_installed, preferred_first
from sam2lora.errors import SettingsError
from sam2lora.runs import RunFolder, new_run_folder, runs_folder
from sam2lora.training.cli_command import command_of
from sam2lora.training.settings import TrainSettings, make_settings

PRESETS = {
    "quick": "Quick adapt",
    "standard": "Standard",
    "paper": "Paper",
    "low-memory": "Low memory",
}
"""Each preset, and what the dock calls it."""


@dataclass(frozen=True)
class TrainingPlan:
    """A training that has not begun.

    Attributes
    ----------
    target, model
        What is learned, and on which base model.
    preset
        Key of `PRESETS`.
    start_from
        Name of an adapter; None to begin anew.
    name
        Of the run; empty for the next free one.
    changes
        What was set under Advanced, nested as in the settings.
    pairs
        What is ticked.
    """

    target: str = "vessel"
    model: str = "nano"
    preset: str = "quick"
    start_from: str | None = None
    name: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    pairs: Sequence[Pair] = ()

    def settings(self) -> TrainSettings:
        """Give the settings; the data count from the run folder.

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
        """Give the name of the run: the chosen one, else the first free one of the target."""
        if self.name:
            return self.name
        taken = {name.casefold() for name in installed_names()}
        root = runs_folder()
        names = (f"{self.target}-{self.preset}-{number}" for number in range(1, 10**6))
        return next(
            one for one in names if one.casefold() not in taken and not (root / one).exists()
        )

    def command(self, run: Path | None = None) -> str:
        """Give the command that does the same once the images are written into the run folder.

        Parameters
        ----------
        run
            The folder; None for that of the name it would have now.

        Raises
        ------
        SettingsError
            As `settings`.
        """
        run = run or runs_folder() / self.run_name()
        return command_of(self.settings().counted_from(run), run, preset=self.preset)


def fitting_adapters(adapters: Iterable[Adapter], target: str, model: str) -> list[Adapter]:
    """Give those a training can go on from: those that came with the package first."""
    base = Path(model).stem
    found = [
        one for one in adapters if one.card.target.name == target and one.card.base.name == base
    ]
    return preferred_first(found)


@dataclass(frozen=True)
class NewRun:
    """What a draft becomes, with the layers as they were when it was planned.

    Attributes
    ----------
    folder
        Is not there yet.
    settings
        Their data count from the folder.
    loads
        Read the images, in any thread.
    """

    folder: Path
    settings: TrainSettings
    loads: Sequence[PairSource]

    def write(self) -> Path:
        """Make the run folder with its snapshot, and give it; `sam2lora train` can begin there.

        Raises
        ------
        Sam2LoraError
            As `write_run`.
        """
        return write_run(self.folder, self.settings.model_dump_json(indent=2), self.loads)


def plan_run(draft: TrainingPlan) -> NewRun:
    """Look whether a draft can be trained, and take from the layers what they hold now.

    Raises
    ------
    Sam2LoraError
        If something is wrong with what was chosen.
    """
    if not draft.pairs:
        raise SettingsError("Tick at least one image with labels.")
    settings = draft.settings()
    if settings.freeze_encoder and settings.start_from is None:
        raise SettingsError(
            f"Quick adapt goes on from an adapter, and there is none of {draft.target} on "
            f"{draft.model}. Choose the preset Standard."
        )
    folder = new_run_folder(runs_folder(), draft.run_name())
    if is_installed(folder.name):
        raise SettingsError(
            f"An adapter called {folder.name!r} is there already, and would be replaced. "
            "Choose another name."
        )
    return NewRun(folder, settings, sources_of(draft.pairs, draft.target))


def waits(run: Path) -> bool:
    """Tell whether a run that was written is there, and has not begun."""
    return run.is_dir() and not RunFolder(run).events.exists()
