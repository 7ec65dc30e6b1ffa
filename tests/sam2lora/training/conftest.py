"""Fixtures for tests of training: settings of few steps, and runs of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sam2lora.runs import Event, RunFolder
from sam2lora.training.loop import train
from sam2lora.training.settings import TrainSettings, make_settings

SHORT: dict[str, Any] = {
    "target": "disc",
    "geometry": {"detail": "whole"},
    "lora": {"rank": 4},
    "optimizer": {"warmup": 0},
    "validation": {"every": 100, "images": 1},
    "checkpoint_every": 100,
    "steps": 3,
    "batch": 1,
    "workers": 0,
    "device": "cpu",
    "precision": "float32",
}
"""Settings that make a training fast."""


@pytest.fixture(autouse=True)
def _on_one_thread(one_thread: None) -> None:
    pass


@pytest.fixture
def make(eyes: Path) -> Callable[..., TrainSettings]:
    """Return a function that creates settings of a short training, with changes as arguments."""

    def make_short(preset: str = "standard", **changes: Any) -> TrainSettings:
        return make_settings(preset, {**SHORT, "data": [{"root": str(eyes)}]}, changes)

    return make_short


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., RunFolder]:
    """Return a function that creates a run folder."""

    def create(settings: TrainSettings, name: str = "run") -> RunFolder:
        return RunFolder.create(tmp_path / name, settings.model_dump_json())

    return create


@pytest.fixture
def run_through(begin: Callable[..., RunFolder]) -> Callable[..., tuple[RunFolder, list[Event]]]:
    """Return a function that trains to the end and returns the run folder and its events."""

    def run(settings: TrainSettings, name: str = "run") -> tuple[RunFolder, list[Event]]:
        folder = begin(settings, name)
        return folder, list(train(folder))

    return run
