"""Shared by the scripts that compare trainings: vessel data, and running to the end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sam2lora.runs import Event, RunFolder, StepEvent, ValidationEvent, read_events
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings


def vessel_sources(data: Path) -> list[dict[str, Any]]:
    """Return the images to train on, without the test images."""
    root = data.resolve()
    return [
        {"root": str(root / "DRIVE")},
        {"root": str(root / "CHASEDB1"), "exclude": r"^Image_1[1-4]"},
        {"root": str(root / "HRF"), "exclude": r"^0[78]_"},
    ]


def finish(folder: Path, settings: TrainSettings) -> Sequence[Event]:
    """Train to the end, or resume an interrupted run; return all events."""
    run = RunFolder.create(folder, settings.model_dump_json(indent=2))
    for _ in train(run):
        pass
    return read_events(run.events)[0]


def validations(events: Sequence[Event]) -> list[ValidationEvent]:
    """Return the validation events, in order."""
    return [event for event in events if isinstance(event, ValidationEvent)]


def step_seconds(events: Sequence[Event]) -> list[float]:
    """Return the seconds of each step."""
    return [event.seconds for event in events if isinstance(event, StepEvent)]
