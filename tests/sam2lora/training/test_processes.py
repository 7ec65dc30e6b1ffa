"""Several processes, started by torchrun, share one training."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from sam2lora.runs import (
    Event,
    FailedEvent,
    RunFolder,
    StartedEvent,
    StepEvent,
    ValidationEvent,
    read_events,
)
from sam2lora.training.loop import train

from .helpers import Begin, Make, dataset_of

TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def torchrun(*arguments: object) -> Ran:
    """Train in two processes, and make sure that none of them is left running."""
    process = subprocess.Popen(
        [*TORCHRUN, "-m", "sam2lora", "train", *map(str, arguments)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=200)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return Ran(process.returncode, out, err)


def events_of(run: RunFolder) -> list[Event]:
    return read_events(run.events)[0]


def curve(run: RunFolder) -> list[float]:
    return [event.loss for event in events_of(run) if isinstance(event, StepEvent)]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="ends process groups as POSIX does"),
]


def test_two_processes_match_one_with_twice_the_batch(make: Make, begin: Begin) -> None:
    changes = {
        "lora": {"rank": 4, "dropout": 0},
        "optimizer": {"learning_rate": 1e-2, "warmup": 0},
        "steps": 4,
        "accumulate": 2,
    }
    alone, shared = begin(make(**changes, batch=2), "alone"), begin(make(**changes), "shared")
    list(train(alone))
    ran = torchrun(shared.path)
    assert ran.code == 0, ran.err
    processes = [event.processes for event in events_of(shared) if isinstance(event, StartedEvent)]
    assert processes == [2]
    assert len(curve(shared)) == 4
    assert curve(shared) == pytest.approx(curve(alone), abs=1e-3)
    assert abs(curve(alone)[-1] - curve(alone)[0]) > 0.01  # the curves are not flat
    tensors, shared_tensors = (run.load_checkpoint()["tensors"] for run in (alone, shared))
    for name, tensor in tensors.items():
        torch.testing.assert_close(shared_tensors[name], tensor, rtol=0.05, atol=4e-3)
    dice = [
        [event.mean for event in events_of(run) if isinstance(event, ValidationEvent)]
        for run in (alone, shared)
    ]
    assert dice[1] == pytest.approx(dice[0], abs=0.02)
    assert ran.out.count("finished") == 1  # only the main process prints


def test_two_processes_start_and_resume_one_run(eyes: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    options = ("--data", eyes, "--target", "disc", "--steps", 2, "--batch", 1, "--device", "cpu")
    small = ("--set", "geometry.detail=whole", "--set", "validation.images=1", "--rank", 2)
    ran = torchrun(run.path, *options, *small)
    assert ran.code == 0, ran.err
    assert len(curve(run)) == 2
    assert ran.out.count("steps of") == 1
    again = torchrun(run.path)
    assert again.code == 0, again.err
    assert len(curve(run)) == 2


def test_error_in_one_process_is_reported_by_the_main_process(
    make: Make, begin: Begin, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    settings = make(data=[{"root": str(write_eyes(tmp_path / "eyes"))}])
    unreadable = Path(
        dataset_of(settings, size=512).sample(1).name
    )  # the first sample of the second process
    unreadable.write_text("no picture")
    run = begin(settings)
    ran = torchrun(run.path)
    assert ran.code != 0
    failed = events_of(run)[-1]
    assert isinstance(failed, FailedEvent)
    assert failed.reason == "ImageError"
    assert str(unreadable) in failed.words
    assert curve(run) == []


def test_error_in_several_processes_ends_all_of_them(make: Make, begin: Begin) -> None:
    run = begin(make(target="cup"))
    ran = torchrun(run.path)
    assert ran.code != 0
    assert "no image has a mask of cup" in ran.err
    assert events_of(run)[-1].kind == "failed"
