"""Images in a viewer, a run folder, and a stand-in for the process that trains."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from napari import Viewer
from napari.components import ViewerModel
from napari.layers import Labels, Layer
from PIL import Image
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.conversion import fundus_layers
from napari_sam2lora.training.run import process as process_module
from napari_sam2lora.training.run.session import TrainingSession
from napari_sam2lora.training.run.watcher import RunWatcher
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.images.reading import FundusImage
from sam2lora.runs import RunFolder, StepEvent, ValidationEvent
from sam2lora.training.settings import make_settings

SHAPE = (64, 64)

# Writes the events of `sam2lora train RUN` without training: a step every 20 ms.
STAND_IN = """
import sys, time
from pathlib import Path
from sam2lora.runs import *
run = RunFolder.open(Path(sys.argv[1]))
steps = run.read_settings()["steps"]
with run.hold():
    print("loading", flush=True)
    events, _ = read_events(run.events)
    step = max((e.step for e in events if e.kind == "checkpoint"), default=0)
    if events:
        run.append(ResumedEvent(step=step))
    else:
        run.append(StartedEvent(target="disc", base="nano", steps=steps, samples={"data disc": 4}))
    while step < steps:
        if "pause" in run.control.requested:
            run.append(PausedEvent(step=step))
            while run.control.requested == {"pause"}:
                time.sleep(0.02)
        if "stop" in run.control.requested:
            run.control.clear("stop")
            run.append(CheckpointEvent(step=step))
            run.append(StoppedEvent(step=step))
            sys.exit()
        time.sleep(0.02)
        step += 1
        terms = {"bce": 1 / step, "soft_dice": 0.5}
        run.append(StepEvent(step=step, loss=2 / step, terms=terms, lr=1e-3, seconds=0.02,
                             host_bytes=2**30, eta_s=0.02 * (steps - step)))
        if step % 10 == 0:
            run.append(ValidationEvent(step=step, dice={"a": step / 100}, mean=step / 100,
                                       best=step / 100, best_step=step, seconds=0.1))
            run.append(CheckpointEvent(step=step))
    run.append(FinishedEvent(step=step))
"""


@pytest.fixture
def viewer() -> ViewerModel:
    """Return a viewer without a window."""
    return ViewerModel()


@pytest.fixture
def session(qtbot) -> Iterator[TrainingSession]:
    """Return a session whose training ends with the test."""
    made = TrainingSession()
    yield made
    if made.alive:
        made.stop()
    made.close()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the process that trains by a stand-in, which ends with the test."""
    monkeypatch.setattr(process_module, "_NICENESS", 0)  # so that tests are not slow
    monkeypatch.setattr(
        process_module, "command", lambda *args: [sys.executable, "-c", STAND_IN, *args]
    )
    before = {child.pid for child in psutil.Process().children()}
    yield
    for process in psutil.Process().children():
        ended = process.status() == psutil.STATUS_ZOMBIE
        if process.pid not in before and not ended and "-c" in process.cmdline():
            process.kill()


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunFolder]:
    """Return a function that makes a run folder; its arguments are settings."""

    def make(name: str = "run", **changes: Any) -> RunFolder:
        base = {"target": "disc", "data": [{"root": str(tmp_path)}], "steps": 40}
        settings = make_settings("standard", base, changes)
        return RunFolder.create(tmp_path / "runs" / name, settings.model_dump_json())

    return make


def step(number: int, loss: float = 1.0) -> StepEvent:
    """Create the event of a step, 10 - `number` seconds before the end."""
    return StepEvent(
        step=number,
        loss=loss,
        terms={"bce": loss / 2},
        lr=1e-3,
        seconds=1,
        host_bytes=1,
        eta_s=10.0 - number,
    )


def validation(number: int, mean: float | None) -> ValidationEvent:
    """Create the event of a validation that is the best one."""
    return ValidationEvent(
        step=number, dice={}, mean=mean, best=mean, best_step=number, seconds=3.0
    )


def wait_for_state(qtbot: QtBot, watcher: RunWatcher, state: str, seconds: int = 60) -> None:
    """Wait until the run that is followed has a state."""

    def has_state() -> bool:
        return watcher.status is not None and watcher.status.state == state

    qtbot.waitUntil(has_state, timeout=1000 * seconds)


def round_mask(radius: float = 10) -> np.ndarray:
    """Return a disc in the middle, `(H, W)` bool; the radius is in pixels."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return np.hypot(x - 32, y - 32) <= radius


def eye_layers(name: str, *targets: str, path: Path | None = None, **masks: Any) -> list[Layer]:
    """Create the layers of a tiny image, with round masks unless `masks` has others."""
    pixels = np.where(round_mask(30)[..., None], (180, 90, 40), 0).astype(np.uint8)
    chosen = {target: masks.get(target, round_mask()) for target in targets}
    image = FundusImage(pixels, path=path)
    data = fundus_layers(name, image, field_of_view_from_mask(round_mask(30)), chosen)
    return [Layer.create(*layer) for layer in data]


def labels_layer(name: str, shape: tuple[int, ...] = SHAPE) -> Labels:
    """Return a Labels layer that the plugin did not make, with something painted in it."""
    data = np.zeros(shape, np.uint8)
    data[..., 5:9, 5:9] = 1
    return Labels(data, name=name)


def add_eye(viewer: Viewer | ViewerModel, name: str, *targets: str, **options: Any) -> list[Layer]:
    """Add a tiny image with masks to a viewer."""
    return [viewer.add_layer(layer) for layer in eye_layers(name, *targets, **options)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a folder of three images with discs: both eyes of one patient, one of another."""
    root = tmp_path / "mine"
    for place in ("images", "masks/disc"):
        (root / place).mkdir(parents=True)
    for name in ("anna_left", "anna_right", "ben_left"):
        pixels = np.where(round_mask(30)[..., None], (180, 90, 40), 0).astype(np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
        mask = round_mask().astype(np.uint8) * np.uint8(255)
        Image.fromarray(mask).save(root / "masks/disc" / f"{name}.png")
    return root
