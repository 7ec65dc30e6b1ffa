"""A run that is about to be written: where, with which settings, and on which images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam2lora.training.draft import Draft
from napari_sam2lora.training.snapshot import Load, loads_of, write_run
from sam2lora.adapters import is_installed
from sam2lora.errors import SettingsError
from sam2lora.runs import RunFolder, new_run_folder, runs_folder
from sam2lora.training.settings import TrainSettings


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
    loads: Sequence[Load]

    def write(self) -> Path:
        """Make the run folder with its snapshot, and give it; `sam2lora train` can begin there.

        Raises
        ------
        Sam2LoraError
            As `write_run`.
        """
        return write_run(self.folder, self.settings.model_dump_json(indent=2), self.loads)


def plan_run(draft: Draft) -> NewRun:
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
    return NewRun(folder, settings, loads_of(draft.pairs, draft.target))


def waits(run: Path) -> bool:
    """Tell whether a run that was written is there, and has not begun."""
    return run.is_dir() and not RunFolder(run).events.exists()
