"""List the trainings in a folder, with their status."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from sam2lora.errors import Sam2LoraError, SettingsError
from sam2lora.runs.event_log import read_first_events, read_last_events
from sam2lora.runs.events import StartedEvent, ValidationEvent
from sam2lora.runs.folder import RunFolder
from sam2lora.runs.lock import is_alive
from sam2lora.runs.run_adapters import best_adapter
from sam2lora.runs.status import (
    RunState,
    RunStatus,
    deciding_event,
    run_status,
    status_of_missing,
)
from sam2lora.utils.files import read_error


@dataclass(frozen=True)
class RunSummary:
    """Summary of a training.

    Attributes
    ----------
    folder
        The run folder; its name is the run's.
    status
        Status of the run, and the reason.
    target
        What is segmented, if the settings say so.
    step, steps
        Completed and planned optimizer steps.
    base
        Name of the base model.
    images
        Number of training images.
    start
        Mean validation Dice of the initial adapter or base model.
    best
        Best mean validation Dice.
    date
        Time of the last event, or of the last change of a file.
    """

    folder: Path
    status: RunStatus
    target: str | None = None
    step: int = 0
    steps: int | None = None
    base: str | None = None
    images: int | None = None
    start: float | None = None
    best: float | None = None
    date: datetime | None = None

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.folder.name

    @property
    def state(self) -> RunState:
        """State of the run, without the reason."""
        return self.status.state


def runs_folder() -> Path:
    """Return the folder of the user's runs (`SAM2LORA_RUNS` overrides the default)."""
    override = os.environ.get("SAM2LORA_RUNS")
    if override:
        return Path(override)
    return platformdirs.user_data_path("napari-sam2lora") / "runs"


def list_runs(root: Path) -> list[RunSummary]:
    """Summarize the runs in a folder, latest first.

    Raises
    ------
    SettingsError
        If `root` exists but cannot be read.
    """
    try:
        folders = [path for path in root.iterdir() if _looks_like_a_run(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise read_error(root, error) from error
    summaries = sorted(map(summarize, folders), key=lambda run: run.name)
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(summaries, key=lambda run: run.date or never, reverse=True)


def summarize(folder: Path) -> RunSummary:
    """Summarize one run; a damaged or missing run is reported in its status, not raised."""
    try:
        if not folder.is_dir():
            return RunSummary(folder, status_of_missing(alive=False))
        return _summarize(RunFolder.open(folder))
    except Sam2LoraError as error:
        message = str(error)
    except OSError as error:  # for instance without permission
        message = str(read_error(folder, error))
    return RunSummary(folder, RunStatus("damaged", message), date=_time_of(folder))


def _summarize(run: RunFolder) -> RunSummary:
    settings = run.read_settings()
    target, steps = settings.get("target"), settings.get("steps")
    alive = is_alive(run.path)  # before the events, so that a run that just ended has its last
    events, skipped = read_last_events(run.events)
    if skipped and not events:
        raise SettingsError(f"{run.events}: none of its lines can be read.")
    first = read_first_events(run.events)
    started = next((event for event in first if isinstance(event, StartedEvent)), None)
    validated = next((event for event in first if isinstance(event, ValidationEvent)), None)
    best = best_adapter(run.path)
    return RunSummary(
        run.path,
        run_status(deciding_event(events), alive=alive),
        target=target if isinstance(target, str) else None,
        step=events[-1].step if events else 0,
        steps=steps if isinstance(steps, int) else None,
        base=_base_name(settings.get("model", "nano")),
        images=sum(started.samples.values()) if started else None,
        start=validated.mean if validated and validated.step == 0 else None,
        best=best.dice if best else None,
        date=events[-1].time if events else _time_of(run.settings),
    )


def _looks_like_a_run(path: Path) -> bool:
    if path.name.startswith("."):  # being created or deleted
        return False
    run = RunFolder(path)
    try:
        return any(file.exists() for file in (run.settings, run.events, run.checkpoint))
    except OSError:
        return True


def _base_name(model: object) -> str | None:
    """Return the name of a base model, or the stem of its file."""
    return Path(model).stem if isinstance(model, str) and model else None


def _time_of(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, OverflowError, ValueError):  # gone, or later than the year 9999
        return None
