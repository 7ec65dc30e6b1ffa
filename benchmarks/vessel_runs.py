"""What scripts that compare trainings share: vessel data, and a run to its end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sam2lora.runs import Event, RunFolder, StepEvent, ValidationEvent, read_events
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings


def vessel_sources(data: Path) -> list[dict[str, Any]]:
    """Give the images to train on, without those that are kept for testing."""
    root = data.resolve()
    return [
        {"root": str(root / "DRIVE")},
        {"root": str(root / "CHASEDB1"), "exclude": r"^Image_1[1-4]"},
        {"root": str(root / "HRF"), "exclude": r"^0[78]_"},
    ]


def finish(folder: Path, settings: TrainSettings) -> Sequence[Event]:
    """Train to the end, or go on where it was interrupted; give all events."""
    run = RunFolder.create(folder, settings.model_dump_json(indent=2))
    for _ in train(run):
        pass
    return read_events(run.events)[0]


def validations(events: Sequence[Event]) -> list[ValidationEvent]:
    """Give the events of validations, in order."""
    return [event for event in events if isinstance(event, ValidationEvent)]


def step_seconds(events: Sequence[Event]) -> list[float]:
    """Give the seconds each step took."""
    return [event.seconds for event in events if isinstance(event, StepEvent)]
