"""What is chosen for the next training, and the settings that make of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_sam2lora._settings import preferences
from napari_sam2lora.training.pairs import Pair, only_one_person
from napari_sam2lora.training.snapshot import DATA
from sam2lora.adapters import Adapter, installed_names, preferred_first
from sam2lora.runs import runs_folder
from sam2lora.training.command import command_of
from sam2lora.training.settings import TrainSettings, make_settings

PRESETS = {
    "quick": "Quick adapt",
    "standard": "Standard",
    "paper": "Paper",
    "low-memory": "Low memory",
}
"""Each preset, and what the dock calls it."""


@dataclass(frozen=True)
class Draft:
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
        if self.pairs and only_one_person(self.pairs):
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
