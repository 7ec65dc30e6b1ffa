"""A training starts once enough images are done, and its adapter can be undone."""

from collections.abc import Callable
from types import SimpleNamespace

import pytest
from napari import Viewer

from napari_sam2lora.grading import background_training as module
from napari_sam2lora.grading.background_training import (
    BackgroundTraining,
    done_pairs,
    initial_adapter,
)
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.data.snapshot import labelled_images
from sam2lora.adapters import install_adapter
from sam2lora.errors import SettingsError
from sam2lora.runs import RunStatus
from sam2lora.targets import TARGETS

from ..conftest import disk

pytestmark = pytest.mark.viewer


def finish(work: GraderWork, *stems: str) -> None:
    """Set images to done, each with a disc."""
    for stem in stems:
        work.grader.corrections.save(stem, work.session.path(stem), {"disc": disk(12)})
        work.grader.set_state(stem, "done")


@pytest.fixture
def training(
    open_work: Callable, make_adapter: Callable, monkeypatch: pytest.MonkeyPatch
) -> tuple[GraderWork, BackgroundTraining, list[TrainingPlan], list[str]]:
    """Return a grader's work, a training that starts no process, its plans, and what is said."""
    viewer: Viewer
    viewer, work = open_work()
    made = BackgroundTraining(viewer)
    plans: list[TrainingPlan] = []
    said: list[str] = []
    made.said.connect(said.append)
    monkeypatch.setattr(made.session, "start", plans.append)
    install_adapter(make_adapter("my-disc", TARGETS["disc"]))
    return work, made, plans, said


def test_it_starts_when_as_many_more_are_done(training):
    work, made, plans, said = training
    finish(work, "eye1")
    made.consider(work, "disc", 2)
    assert plans == []
    assert said[-1] == "1 of 2 more images with a disc are done."
    finish(work, "eye2")
    made.consider(work, "disc", 2)
    (plan,) = plans
    assert (plan.preset, plan.target, plan.start_from, plan.model) == (
        "quick",
        "disc",
        "my-disc",
        "nano",
    )
    images = list(labelled_images(plan.pairs, "disc"))
    assert [image.name for image in images] == ["eye1", "eye2"]
    finish(work, "eye3")
    made.consider(work, "disc", 2)
    assert len(plans) == 1, "one more is not enough"


def test_better_adapter_is_used_and_undone(training, monkeypatch: pytest.MonkeyPatch):
    work, made, _plans, said = training
    used: list[str] = []
    undo: list[bool] = []
    monkeypatch.setattr(module, "use_adapter", lambda viewer, name: used.append(name))
    made.can_undo.connect(undo.append)
    finish(work, "eye1", "eye2")
    made.consider(work, "disc", 2)
    made.session.watcher.history = SimpleNamespace(
        start_dice=0.7,
        validations=[SimpleNamespace(mean=0.7), SimpleNamespace(mean=0.8)],
        measure="Dice",
    )
    made.session.installed.emit("disc-quick-1")
    assert "Dice 0.700 → 0.800" in said[-1]
    made.undo()
    assert used == ["disc-quick-1", "my-disc"]
    assert undo == [False, True, False]
    made.undo()
    assert len(used) == 2


def test_what_is_no_better_is_said(training):
    work, made, _plans, said = training
    finish(work, "eye1", "eye2")
    made.consider(work, "disc", 2)
    made.session.watcher.history = SimpleNamespace(
        start_dice=0.7, validations=[SimpleNamespace(mean=0.7)], measure="Dice"
    )
    made.session.watcher.status_changed.emit(RunStatus("finished"))
    assert said[-1] == "No better than Dice 0.700: my-disc stays."
    made.session.watcher.status_changed.emit(RunStatus("failed", "The disk is full."))
    assert said[-1] == "The training ended: The disk is full."
    made.close()


def test_only_what_is_done_and_drawn_is_learned(open_work: Callable):
    _, work = open_work()
    finish(work, "eye1", "eye2", "eye3")
    work.grader.set_state("eye1", "flagged", reason="two discs")
    work.session.path("eye3").unlink()
    assert [pair.name for pair in done_pairs(work, "disc")] == ["eye2"]
    assert done_pairs(work, "cup") == []


def test_without_an_adapter_there_is_nothing_to_start_from():
    with pytest.raises(SettingsError, match="no adapter of the cup"):
        initial_adapter("cup")
