"""`sam2lora train`: plan, log, interruption, continuing, and bad input."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sam2lora.runs import RunFolder, StepEvent, best_adapter, read_events, summarize
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.settings import validate_settings

SMALL = (
    *("--set", "geometry.detail=whole", "--set", "validation.images=1", "--set", "workers=0"),
    *("--rank", 4, "--batch", 1, "--device", "cpu", "--set", "precision=float32"),
)


@pytest.fixture
def start(run_cli: Callable, eyes: Path, tmp_path: Path, pocket: object) -> Callable:
    """Return a function that starts a small training of the pocket network in a new run."""

    def train(*args: object, run: str = "run") -> Any:
        data = ("--data", eyes, "--target", "disc")
        return run_cli("train", tmp_path / run, *data, *SMALL, *args)

    return train


def steps_of(run: Path) -> list[int]:
    return [event.step for event in read_events(run / "events.jsonl")[0] if is_step(event)]


def is_step(event: object) -> bool:
    return isinstance(event, StepEvent)


def test_plan_is_printed_before_the_training(start: Callable, eyes: Path, tmp_path: Path) -> None:
    ran = start("--steps", 12)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == ("adapter for disc on nano: 36992 of 3199249 weights are trained: 1.16 %.")
    assert "trained on      6 images of eyes disc" in ran.out
    assert "validated on    1 images of other patients" in ran.out
    assert re.search(r"12 steps of 1 samples on cpu in float32: about .+ and \d+\.\d GiB", ran.out)
    plan, rest = ran.out.split("repeat with:")
    assert "step" not in plan.replace("12 steps", "")
    assert re.search(r"^step +0  started$", rest, re.MULTILINE)
    assert re.search(r"^step +10  loss \d\.\d+ \(bce \d.*iou \d.*\), .* left$", rest, re.MULTILINE)
    assert not re.search(r"^step +\d*[1-9]  loss", rest, re.MULTILINE)  # every tenth one
    assert re.search(r"^step +12  validation Dice 0\.\d+, loss", rest, re.MULTILINE)
    best = best_adapter(tmp_path / "run")
    assert best is not None
    assert f"Best: {best.folder} (validation Dice {best.dice:.3f})" in rest
    assert "\x1b" not in ran.out
    assert "\r" not in ran.out
    assert steps_of(tmp_path / "run") == list(range(1, 13))


def test_printed_command_repeats_the_training(
    start: Callable, run_cli: Callable, tmp_path: Path
) -> None:
    first = start("--steps", 2, "--seed", 3, run="a run's [folder]")
    (command,) = re.findall(r"repeat with: (.+)", first.out)
    args = shlex.split(command)
    assert args[:3] == ["sam2lora", "train", "NEW"]
    args[2] = str(tmp_path / "again")
    assert run_cli(*args[1:]).code == 0
    runs = [tmp_path / "a run's [folder]", tmp_path / "again"]
    settings = [json.loads((run / "settings.json").read_bytes()) for run in runs]
    assert settings[0] == settings[1]
    assert settings[0]["seed"] == 3
    losses = [
        [event.loss for event in read_events(run / "events.jsonl")[0] if is_step(event)]
        for run in runs
    ]
    assert losses[0] == losses[1]


def test_paths_are_printed_without_interpreting_markup(
    run_cli: Callable, write_eyes: Callable, tmp_path: Path, pocket: object
) -> None:
    root = write_eyes(tmp_path / "[red]eyes :smile:")
    ran = run_cli(
        *("train", tmp_path / "run [1]", "--data", root, "--target", "disc", "--steps", 1), *SMALL
    )
    assert ran.code == 0, ran.err
    assert "images of [red]eyes :smile: disc" in ran.out
    command = ran.out.partition("Continue or show again:")[2]
    assert shlex.split(command) == ["sam2lora", "train", str(tmp_path / "run [1]")]


def test_options_reach_the_settings(start: Callable, tmp_path: Path) -> None:
    args = ("--preset", "low-memory", "--steps", 1, "--seed", 5)
    ran = start(*args, "--set", "optimizer.learning_rate=5e-4", "--set", "loss.weights.cldice=0.5")
    assert ran.code == 0, ran.err
    settings = validate_settings(RunFolder(tmp_path / "run").read_settings())
    assert (settings.target, settings.model, settings.seed) == ("disc", "nano", 5)
    assert (settings.lora.rank, settings.batch, settings.steps) == (4, 1, 1)
    assert settings.optimizer.learning_rate == 5e-4
    assert settings.optimizer.clip == 1
    assert settings.loss.weights.cldice == 0.5
    assert settings.gradient_checkpointing


def test_relative_paths_become_absolute(
    run_cli: Callable, eyes: Path, tmp_path: Path, pocket: object, monkeypatch: Any
) -> None:
    monkeypatch.chdir(eyes.parent)
    run = tmp_path / "run"
    ran = run_cli("train", run, "--data", "eyes", "--target", "disc", "--steps", 1, *SMALL)
    assert ran.code == 0, ran.err
    monkeypatch.chdir(tmp_path)
    assert RunFolder(run).read_settings()["data"][0]["root"] == str(eyes)
    again = run_cli(
        *("train", "next", "--data", eyes, "--target", "disc", "--steps", 1),
        *SMALL[:6],
        *("--device", "cpu", "--start-from", "run"),
    )
    assert again.code == 0, again.err
    assert RunFolder(tmp_path / "next").read_settings()["start_from"] == str(run)


def test_name_of_an_adapter_takes_precedence_over_a_folder(
    start: Callable, run_cli: Callable, eyes: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    assert start("--steps", 1, run="first").code == 0
    assert run_cli("adapters", "import", tmp_path / "first", "--name", "mine").code == 0
    monkeypatch.chdir(tmp_path)
    for name in ("nano", "mine"):
        (tmp_path / name).mkdir()
    ran = run_cli(
        *("train", "next", "--data", eyes, "--target", "disc", "--steps", 1),
        *(*SMALL[:6], "--device", "cpu", "--model", "nano", "--start-from", "mine"),
    )
    assert ran.code == 0, ran.err
    settings = RunFolder(tmp_path / "next").read_settings()
    assert (settings["model"], settings["start_from"]) == ("nano", "mine")


def test_dry_run_prints_the_plan_and_writes_nothing(
    start: Callable, eyes: Path, tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    ran = start("--steps", 12, "--dry-run")
    assert ran.code == 0
    assert "12 steps of 1 samples on cpu" in ran.out
    assert "settings.json" not in ran.out  # none is written
    assert sorted(tmp_path.rglob("*")) == before


def test_dry_run_does_not_continue_an_existing_run(
    start: Callable, run_cli: Callable, tmp_path: Path
) -> None:
    start("--steps", 2)
    (tmp_path / "run/events.jsonl").unlink()
    ran = run_cli("train", tmp_path / "run", "--dry-run")
    assert ran.code == 0
    assert "2 steps of 1 samples on cpu" in ran.out
    assert not (tmp_path / "run/events.jsonl").exists()


def test_finished_run_is_not_trained_further(
    start: Callable, run_cli: Callable, tmp_path: Path
) -> None:
    start("--steps", 2)
    before = (tmp_path / "run/events.jsonl").read_bytes()
    ran = run_cli("train", tmp_path / "run")
    assert ran.code == 0
    assert "Best: " in ran.out
    assert "step " not in ran.out
    assert (tmp_path / "run/events.jsonl").read_bytes() == before


def interrupt_after(monkeypatch: pytest.MonkeyPatch, step: int, *signals: int) -> None:
    """Raise signals while a step is computed."""
    compute = OptimizerStep.step

    def interrupted(self: OptimizerStep, *args: Any, number: int, **named: Any) -> Any:
        if number == step:
            for each in signals:
                signal.raise_signal(each)
        return compute(self, *args, number=number, **named)

    monkeypatch.setattr(OptimizerStep, "step", interrupted)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_first_interrupt_stops_after_the_step_and_keeps_all(
    start: Callable,
    run_cli: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: signal.Signals,
) -> None:
    start("--steps", 6, run="whole")
    before = signal.getsignal(kind)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3, kind)
        ran = start("--steps", 6)
    assert ran.code == 0
    assert "Stopping after this step" in ran.out
    assert steps_of(tmp_path / "run") == [1, 2, 3, 4]
    assert summarize(tmp_path / "run").state == "stopped"
    assert RunFolder(tmp_path / "run").load_checkpoint()["step"] == 4
    assert f"sam2lora train {tmp_path / 'run'}" in ran.out
    assert signal.getsignal(kind) == before
    again = run_cli("train", tmp_path / "run")
    assert again.code == 0
    assert re.search(r"^step +4  resumed$", again.out, re.MULTILINE)
    losses = [
        [event.loss for event in read_events(tmp_path / run / "events.jsonl")[0] if is_step(event)]
        for run in ("whole", "run")
    ]
    assert losses[0] == losses[1]


def test_second_interrupt_ends_at_once(
    start: Callable, run_cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_after(patch, 3, signal.SIGINT, signal.SIGINT)
        ran = start("--steps", 6, "--set", "checkpoint_every=2")
    assert ran.code not in (0, 2)
    assert steps_of(tmp_path / "run") == [1, 2, 3]
    assert summarize(tmp_path / "run").state == "interrupted"
    assert run_cli("train", tmp_path / "run").code == 0
    assert steps_of(tmp_path / "run") == list(range(1, 7))


def test_progress_bar_is_shown_on_a_terminal(
    start: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    ran = start("--steps", 12)
    assert ran.code == 0
    assert "12/12" in ran.out
    assert re.search(r"loss \d\.\d", ran.out)
    assert "bce" not in ran.out  # no line for steps
    assert "validation Dice" in ran.out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--set", "optimizer.momentum=0.9"), "optimizer.momentum"),
        (("--set", "colour=red"), "colour"),
        (("--set", "steps"), "--set takes name=value"),
        (("--set", "steps.more=3"), "steps"),
        (("--set", "target.more=3"), "target is no group of settings"),
        (("--preset", "fast"), "standard, quick, detail, low-memory, paper"),
        (("--preset", "quick"), "--start-from"),
        (("--start-from", "nowhere"), "nowhere"),
        (("--model", "nana"), "nana"),
        (("--steps", 0), "steps"),
        (("--target", "cup"), "no image has a mask of cup"),
        (("--target", "drusen"), "drusen"),
        (("--device", "tpu"), "tpu"),
        (("--preset", "paper", "--settings", "some.json"), "--settings or --preset"),
        (("--settings", "missing.json"), "missing.json"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_wrong_options_are_one_line_and_nothing_is_written(
    start: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: tuple,
    message: str,
) -> None:
    if "nana" in args:
        monkeypatch.undo()  # the pocket network is loaded under any name
    ran = start(*args)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert message in ran.err
    assert not (tmp_path / "run").exists()


def test_new_run_needs_data_and_target(run_cli: Callable, eyes: Path, tmp_path: Path) -> None:
    for args in ((), ("--data", eyes), ("--target", "disc"), ("--steps", 3)):
        ran = run_cli("train", tmp_path / "run", *args)
        assert ran.code == 2
        assert "--data FOLDER --target TARGET" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_settings_of_an_existing_run_cannot_be_changed(
    start: Callable, run_cli: Callable, tmp_path: Path
) -> None:
    start("--steps", 2)
    before = (tmp_path / "run/settings.json").read_bytes()
    other = start("--steps", 3)
    assert other.code == 2
    assert "other settings" in other.err
    changed = run_cli("train", tmp_path / "run", "--steps", 5)
    assert changed.code == 2
    assert "--settings" in changed.err
    assert (tmp_path / "run/settings.json").read_bytes() == before
    same = start("--steps", 2)
    assert same.code == 0


def test_folder_that_is_no_run_is_not_touched(start: Callable, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/thesis.txt").write_text("years of work")
    ran = start("--steps", 1)
    assert ran.code == 2
    assert "not a training" in ran.err
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["thesis.txt"]


MODULE = (sys.executable, "-m", "sam2lora", "train")


def wait_for_step(run: Path, process: "subprocess.Popen[str]", step: int) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if (run / "events.jsonl").exists() and step in steps_of(run):
            return
        time.sleep(0.05)
    raise AssertionError(process.communicate(timeout=5))


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_interrupted_or_killed_process_can_be_continued(
    eyes: Path, tmp_path: Path, name: str
) -> None:
    kind = signal.Signals[name]  # by name: Windows, where this is skipped, has no SIGKILL
    run = tmp_path / "run"
    args = ("--data", eyes, "--target", "disc", "--steps", 12, *SMALL)
    workers = ("--set", "workers=1", "--set", "checkpoint_every=2")
    process = subprocess.Popen(
        [*MODULE, *map(str, (run, *args, *workers))],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_step(run, process, 3)
    os.killpg(process.pid, kind)  # as a terminal does: the worker process gets it, too
    out, err = process.communicate(timeout=120)
    if kind == signal.SIGINT:
        assert (process.returncode, err) == (0, "")
        assert "Stopping after this step" in out
        assert summarize(run).state == "stopped"
        assert RunFolder(run).load_checkpoint()["step"] == max(steps_of(run))
    else:
        assert summarize(run).state == "interrupted"
    assert max(steps_of(run)) < 12
    again = subprocess.run(
        [*MODULE, str(run)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (again.returncode, again.stderr) == (0, "")
    assert steps_of(run) == list(range(1, 13))
    assert summarize(run).state == "finished"


def test_plan_names_masks_that_seem_inverted_and_refuses_label_maps(
    run_cli: Callable, write_eyes: Callable[..., Path], pocket: object, tmp_path: Path
) -> None:
    own = write_eyes(tmp_path / "own")
    mask = sorted((own / "masks" / "disc").glob("*.png"))[0]
    values = np.asarray(Image.open(mask))

    def plan(*args: object) -> Any:
        data = ("--data", own, "--target", "disc")
        return run_cli("train", tmp_path / "run", *data, *SMALL, "--dry-run", *args)

    Image.fromarray(255 - values).save(mask)
    ran = plan()
    assert ran.code == 0
    assert f"{mask}: the mask of disc covers" in ran.err
    Image.fromarray(values // 255 * np.uint8(2)).save(mask)
    ran = plan()
    assert (ran.code, "is a label map with the labels 2" in ran.err) == (2, True)
    assert plan("--labels", "disc=2").code == 0
    assert plan("--labels", "disk=2").code == 2
    ran = run_cli("train", tmp_path / "other", "--labels", "disc=2")
    assert (ran.code, "--data" in ran.err) == (2, True)
