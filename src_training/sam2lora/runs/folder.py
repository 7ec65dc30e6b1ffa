"""One training on disk, as the training loop uses it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sam2lora.errors import OutputError, SettingsError
from sam2lora.runs.checkpoint import load_checkpoint, save_checkpoint
from sam2lora.runs.control import Control
from sam2lora.runs.event_log import append_event, read_events
from sam2lora.runs.events import Event
from sam2lora.runs.lock import is_alive, run_lock
from sam2lora.runs.run_adapters import ADAPTERS
from sam2lora.utils.files import durable_path, make_folder, read_error
from sam2lora.utils.json_files import parse_json_object, read_json_object

if TYPE_CHECKING:
    import torch

MANIFEST = "manifest.json"
"""In `RUN/data`: the files of the training data, with their hashes."""
START_ADAPTER = "start"
"""In `RUN/data`: a copy of the initial adapter."""


@dataclass(frozen=True)
class RunFolder:
    """A run folder; `create` and `open` check that it is one.

    Attributes
    ----------
    path
        The folder.
    """

    path: Path

    @classmethod
    def create(cls, path: Path, settings_json: str) -> Self:
        """Create a run folder, or open the one that was created with the same settings.

        Settings of a run that has not completed a step are replaced.

        Raises
        ------
        SettingsError
            If `settings_json` is not a JSON object, or a run with other settings has started there.
        OutputError
            If the folder holds something else, or cannot be written.
        """
        run = cls(path)
        source = "The settings of the training"
        settings = parse_json_object(settings_json, source, error=SettingsError)
        in_use = _is_in_use(path)  # before reading the settings, which are written first
        if run.settings.exists() and (_has_begun(run) or is_alive(path)):
            if run.read_settings() != settings:
                raise SettingsError(
                    f"{path}: a training with other settings started here. Resume it with: "
                    f"sam2lora train {path}; or choose another folder."
                )
            return run
        if in_use and not run.settings.exists():
            raise OutputError(f"{path}: is not empty and not a training. Choose another folder.")
        if run.settings.exists() and run.read_settings() != settings:
            _clear(run)
        make_folder(path)
        with durable_path(run.settings) as temporary:
            temporary.write_text(settings_json.rstrip() + "\n", encoding="utf-8")
        run._make_folders()
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing run folder.

        Raises
        ------
        SettingsError
            If it is not a run folder, or its settings are damaged.
        """
        run = cls(path)
        if not run.settings.is_file():
            found = (
                "has no settings.json, so it is not a training"
                if path.exists()
                else "does not exist"
            )
            raise SettingsError(
                f"{path}: {found}. Start one with: sam2lora train {path} --data FOLDER --target "
                "TARGET"
            )
        run.read_settings()
        return run

    @property
    def settings(self) -> Path:
        """Path of the complete settings, as JSON."""
        return self.path / "settings.json"

    @property
    def data(self) -> Path:
        """Folder of the training data."""
        return self.path / "data"

    @property
    def events(self) -> Path:
        """Path of the events, one JSON object per line."""
        return self.path / "events.jsonl"

    @property
    def control(self) -> Control:
        """Requests to the training."""
        return Control(self.path / "control")

    @property
    def checkpoint(self) -> Path:
        """Path of the latest state."""
        return self.path / "checkpoint.pt"

    @property
    def adapters(self) -> Path:
        """Folder of the adapters, one per validation."""
        return self.path / ADAPTERS

    @property
    def previews(self) -> Path:
        """Folder of pictures of validation images."""
        return self.path / "previews"

    def adapter(self, step: int) -> Path:
        """Return the folder for the adapter of a step."""
        return self.adapters / str(step)

    def read_settings(self) -> dict[str, Any]:
        """Read the settings; only that they are a JSON object is checked.

        Raises
        ------
        SettingsError
            If they are missing or damaged.
        """
        return read_json_object(self.settings, error=SettingsError)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock of the run, and delete leftovers of a killed process.

        Call it before slow imports: requests count from then on.

        Raises
        ------
        OutputError
            If another process trains here, or the folder cannot be written.
        """
        with run_lock(self.path):
            self._make_folders()  # an earlier process may have been killed while creating them
            self.control.clear()
            yield

    def _make_folders(self) -> None:
        for folder in (self.path, self.data, self.control.folder, self.adapters, self.previews):
            make_folder(folder)

    def append(self, event: Event) -> None:
        """Append an event to the log (`append_event`)."""
        append_event(self.events, event)

    def save_checkpoint(self, state: dict[str, Any]) -> None:
        """Replace the checkpoint (`checkpoint.save_checkpoint`)."""
        save_checkpoint(self.checkpoint, state)

    def load_checkpoint(self, *, map_location: "str | torch.device" = "cpu") -> dict[str, Any]:
        """Read the checkpoint (`checkpoint.load_checkpoint`)."""
        return load_checkpoint(self.checkpoint, map_location=map_location)


def _has_begun(run: RunFolder) -> bool:
    """Check whether a step was completed, so that the settings must not change any more."""
    events, _ = read_events(run.events)
    return run.checkpoint.exists() or any(event.step > 0 for event in events)


def _clear(run: RunFolder) -> None:
    """Delete what a training with other settings left that did not complete a step."""
    for file in (run.events, run.data / MANIFEST):
        file.unlink(missing_ok=True)
    for folder in (run.data / START_ADAPTER, run.adapters, run.previews):
        shutil.rmtree(folder, ignore_errors=True)


def _is_in_use(path: Path) -> bool:
    """Check whether `path` is anything but a missing, empty or hidden-files-only folder."""
    try:
        return any(not entry.name.startswith(".") for entry in path.iterdir())
    except FileNotFoundError:
        return False
    except NotADirectoryError:
        return True
    except OSError as error:
        raise read_error(path, error) from error
