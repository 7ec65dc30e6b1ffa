"""Fixtures for tests of run folders: a run, and a process that holds one until it is killed."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sam2lora.runs import RunFolder, StepEvent

SETTINGS = '{"target": "disc", "steps": 40}'

HOLD = """
import sys, time
from pathlib import Path
from sam2lora.runs import RunFolder
with RunFolder.open(Path(sys.argv[1])).hold():
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return a run that has not started."""
    return RunFolder.create(tmp_path / "my run", SETTINGS)


@pytest.fixture
def step() -> Callable[[int], StepEvent]:
    """Return a function that creates step events; `loss` distinguishes two passes of a step."""

    def make(number: int, loss: float = 0.5) -> StepEvent:
        terms = {"bce": 0.25, "soft_dice": 0.25}
        return StepEvent(
            step=number, loss=loss, terms=terms, lr=1e-3, seconds=0.2, host_bytes=10**9
        )

    return make


@pytest.fixture
def hold_elsewhere() -> Iterator[Callable[[Path], "subprocess.Popen[str]"]]:
    """Return a function that starts a process and returns it once it holds a run folder."""
    started = []

    def start(folder: Path) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
