"""What a checkpoint restores, and which checkpoints are refused."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sam2lora.errors import TrainingError
from sam2lora.runs import RunFolder
from sam2lora.training.checkpointing import TrainingState, load_training, save_training
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import TrainableModel, make_trainable

from .helpers import Make, optimizer_step_of, samples_of

Parts = tuple[TrainableModel, OptimizerStep]

STATE = TrainingState(step=3, batch=2, best_dice=0.75, best_step=2, worse=1)

pytestmark = pytest.mark.usefixtures("pocket")


def parts_of(settings: TrainSettings) -> Parts:
    model = make_trainable(settings)
    return model, optimizer_step_of(settings, model)


def do_a_step(settings: TrainSettings, parts: Parts, number: int) -> None:
    parts[1].step(samples_of(settings, number), number=number, rate=1e-2, batch=1)


@pytest.fixture
def settings(make: Make) -> TrainSettings:
    return make(optimizer={"learning_rate": 1e-2, "warmup": 0})


@pytest.fixture
def run(tmp_path: Path, settings: TrainSettings) -> RunFolder:
    return RunFolder.create(tmp_path / "run", settings.model_dump_json())


def test_next_step_after_loading_is_identical(settings: TrainSettings, run: RunFolder) -> None:
    saved, loaded = parts_of(settings), parts_of(settings)
    do_a_step(settings, saved, 0)
    save_training(run, STATE, *saved)
    assert load_training(run, *loaded, base="nano") == STATE
    for parts in (saved, loaded):
        do_a_step(settings, parts, 1)
    before, after = saved[0].tensors(), loaded[0].tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_checkpoint_format_is_unchanged(settings: TrainSettings, run: RunFolder) -> None:
    save_training(run, STATE, *parts_of(settings))
    content = run.load_checkpoint()
    progress = {"step": 3, "batch": 2, "best_dice": 0.75, "best_step": 2, "worse": 1}
    assert {name: content[name] for name in progress} == progress
    assert content.keys() == progress.keys() | {"identity", "tensors", "optimizer", "scaler"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: {"step": content["step"]}, "another version; batch, best_dice, .*Start a"),
        (
            lambda content: content | {"identity": "0" * 64},
            "another base model than the current 'nano'",
        ),
    ],
    ids=["version", "base"],
)
def test_mismatched_checkpoint_is_refused_before_anything_changes(
    settings: TrainSettings, run: RunFolder, change: Callable[[dict], dict], message: str
) -> None:
    parts = parts_of(settings)
    save_training(run, STATE, *parts)
    run.save_checkpoint(change(run.load_checkpoint()))
    other = parts_of(settings)
    before = {name: tensor.detach().clone() for name, tensor in other[0].tensors().items()}
    with pytest.raises(TrainingError, match=message):
        load_training(run, *other, base="nano")
    assert all(torch.equal(before[name], tensor) for name, tensor in other[0].tensors().items())


def spoil(content: dict, value: object, *place: object) -> dict:
    """Return a copy of a checkpoint's content with another value at a place."""
    spoilt = copy.deepcopy(content)
    group = spoilt
    for key in place[:-1]:
        group = group[next(iter(group)) if key is FIRST else key]
    group[next(iter(group)) if place[-1] is FIRST else place[-1]] = value
    return spoilt


FIRST = object()
NAN = torch.tensor(float("nan"))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ("seven", ("step",)),
        (-1, ("step",)),
        (True, ("batch",)),
        (0, ("batch",)),
        ("good", ("best_dice",)),
        (float("nan"), ("best_dice",)),
        ([1], ("worse",)),
        ([], ("tensors",)),
        (None, ("tensors", FIRST)),
        (torch.ones(3), ("tensors", FIRST)),
        (7, ("optimizer",)),
        ({}, ("optimizer",)),
        ([], ("optimizer", "state")),
        ({"exp_avg": 1}, ("optimizer", "state", FIRST)),
        (torch.ones(3), ("optimizer", "state", FIRST, "exp_avg")),
        (NAN, ("optimizer", "state", FIRST, "exp_avg_sq")),
        ("one", ("optimizer", "state", FIRST, "step")),
        ([], ("optimizer", "param_groups")),
        ("fast", ("optimizer", "param_groups", 0, "lr")),
        (None, ("optimizer", "param_groups", 0, "betas")),
        ([[]], ("optimizer", "param_groups", 0, "params")),
        ("none", ("scaler",)),
        ([1], ("scaler",)),
        ({"scale": NAN}, ("scaler",)),
    ],
)
def test_checkpoint_with_other_values_is_refused_in_a_line(
    settings: TrainSettings, run: RunFolder, value: object, place: tuple[object, ...]
) -> None:
    parts = parts_of(settings)
    do_a_step(settings, parts, 0)
    save_training(run, STATE, *parts)
    run.save_checkpoint(spoil(run.load_checkpoint(), value, *place))
    with pytest.raises(TrainingError, match="other values than a training writes") as caught:
        load_training(run, *parts_of(settings), base="nano")
    assert str(caught.value).startswith(f"{run.checkpoint}: ")
    assert len(str(caught.value).splitlines()) == 1
