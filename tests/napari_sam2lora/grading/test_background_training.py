"""A training starts once enough images are done; a better adapter is used, until it is undone."""

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from napari import Viewer

from napari_sam2lora._settings import preferences, set_adapter_of
from napari_sam2lora.grading import background_training as module
from napari_sam2lora.grading.background_training import BackgroundTraining
from napari_sam2lora.grading.trainings_file import FILE_NAME, read_trainings
from napari_sam2lora.grading.work import GraderWork
from napari_sam2lora.segmentation.dock import SegmentDock
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.data.snapshot import labelled_images
from sam2lora.adapters import delete_adapter, install_adapter, installed_names
from sam2lora.grading import SessionGrader
from sam2lora.runs import RunStatus, runs_folder
from sam2lora.targets import TARGETS

from ..conftest import disk

pytestmark = pytest.mark.viewer


def finish(work: GraderWork, *stems: str) -> None:
    """Set images to done, each with a disc."""
    for stem in stems:
        work.grader.corrections.save(stem, work.session.path(stem), {"disc": disk(12)})
        work.grader.set_state(stem, "done")


class Trainer:
    """A training in the background that starts no process: a test says what comes of it."""

    def __init__(
        self, viewer: Viewer, install: Callable[[str], None], patch: pytest.MonkeyPatch
    ) -> None:
        self.training = BackgroundTraining(viewer)
        self.plans: list[TrainingPlan] = []
        self.said: list[str] = []
        self.stops = 0
        self._install = install
        self.training.said.connect(self.said.append)
        session = self.training.session
        patch.setattr(session, "start", self._start)
        patch.setattr(session, "stop", self._stop)
        patch.setattr(module, "is_best_installed", lambda run: run.name in self.installed)
        self.installed: set[str] = set()

    def _start(self, plan: TrainingPlan) -> None:
        self.plans.append(plan)
        folder = runs_folder() / plan.run_name()
        folder.mkdir(parents=True)
        self.training.session.watcher.run = SimpleNamespace(path=folder)
        self._status(RunStatus("running"))

    def _stop(self) -> None:
        self.stops += 1

    def _status(self, status: RunStatus) -> None:
        watcher = self.training.session.watcher
        watcher.status = status
        watcher.status_changed.emit(status)

    def train(self, work: GraderWork, target: str = "disc") -> str:
        """Start a training, which must be due; return the name of its adapter."""
        before = len(self.plans)
        self.training.consider(work, target, 2)
        assert len(self.plans) == before + 1, self.said[-1:]
        return self.plans[-1].name

    def install(self) -> None:
        """Install an adapter, as a session does while it trains and at the end."""
        name = self.plans[-1].name
        if name not in self.installed:
            self._install(name)
            self.installed.add(name)
        self.training.session.installed.emit(name)

    def end(self, state: str = "finished", message: str = "", *, dice: float = 0.8) -> None:
        """End the training; the initial adapter has a Dice of 0.7."""
        self.training.session.watcher.history = SimpleNamespace(
            start_dice=0.7,
            validations=[SimpleNamespace(mean=0.7), SimpleNamespace(mean=dice)],
            measure="Dice",
        )
        self._status(RunStatus(state, message))


@pytest.fixture
def install(make_adapter: Callable) -> Callable[[str], None]:
    """Return a function that installs an adapter of the disc."""
    return lambda name: install_adapter(make_adapter(name, TARGETS["disc"])) and None


@pytest.fixture
def trainer(
    open_work: Callable, install: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> tuple[GraderWork, Trainer]:
    """Return a grader's work, and a training whose end a test decides."""
    viewer, work = open_work()
    install("my-disc")
    set_adapter_of("disc", "my-disc")
    return work, Trainer(viewer, install, monkeypatch)


def in_use() -> str | None:
    """Return the adapter that the disc is predicted with from now on."""
    return preferences().adapters.get("disc")


def test_it_starts_when_as_many_more_are_done(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    finish(work, "eye1")
    made.training.consider(work, "disc", 2)
    assert made.plans == []
    assert made.said[-1] == "Newly finished images with a mask of the disc: 1 of 2."
    finish(work, "eye2")
    made.training.consider(work, "disc", 2)
    (plan,) = made.plans
    assert (plan.preset, plan.target, plan.start_from, plan.model) == (
        "quick",
        "disc",
        "my-disc",
        "nano",
    )
    assert made.said[-1] == "Training on 2 images, starting from my-disc."
    images = list(labelled_images(plan.pairs, "disc"))
    assert [image.name for image in images] == ["eye1", "eye2"]
    made.end()
    finish(work, "eye3")
    made.training.consider(work, "disc", 2)
    assert len(made.plans) == 1, "one more is not enough"


def test_images_that_are_left_out_are_counted(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    finish(work, "eye1", "eye2", "eye3")
    work.grader.corrections.set_as_predicted("eye1", {"disc": True})
    work.grader.corrections.set_as_predicted("eye2", {"disc": True})
    made.training.consider(work, "disc", 2)
    assert made.plans == []
    assert made.said[-1] == (
        "Newly finished images with a mask of the disc: 1 of 2. Left out: 2 with the mask as "
        "predicted (there is nothing to learn from)."
    )
    work.grader.corrections.set_as_predicted("eye2", {"disc": False})
    made.train(work)
    assert [pair.name for pair in made.plans[-1].pairs] == ["eye2", "eye3"]
    assert "Left out: 1 with the mask as predicted" in made.said[-1]


def test_better_adapter_is_used_once_it_has_finished(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    changed: list[bool] = []
    made.training.adapter_changed.connect(lambda: changed.append(True))
    finish(work, "eye1", "eye2")
    name = made.train(work)
    made.install()  # the best one so far
    assert (in_use(), changed) == ("my-disc", [])
    made.end()
    assert (in_use(), changed) == (name, [True])
    assert made.said[-1] == (
        f"The disc is predicted with {name} from now on: "
        "Dice 0.700 (my-disc) → 0.800 on the validation images."
    )
    assert made.training.can_undo(work, "disc")
    made.training.undo(work, "disc")
    assert in_use() == "my-disc"
    assert made.said[-1] == "The disc is predicted with my-disc again."
    assert not made.training.can_undo(work, "disc")
    made.training.undo(work, "disc")
    assert in_use() == "my-disc"
    assert made.said[-1] == "There is nothing to undo for the disc."


def test_adapter_that_is_installed_later_is_waited_for(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    finish(work, "eye1", "eye2")
    name = made.train(work)
    made.end()
    assert in_use() == "my-disc"
    finish(work, "eye3")
    made.training.consider(work, "disc", 1)
    assert len(made.plans) == 1
    made.install()
    assert in_use() == name
    made.training.consider(work, "disc", 1)
    made.end()
    made.training.session.message.emit("No space left on device.")
    assert in_use() == name
    finish(work, "eye1")
    made.training.consider(work, "disc", 2)
    assert made.said[-1].startswith("Newly finished"), "it is not waited for any longer"


def test_what_is_no_better_is_said(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    finish(work, "eye1", "eye2")
    made.train(work)
    made.end(dice=0.7)
    assert made.said[-1] == "No improvement (Dice 0.700); keeping my-disc."
    assert in_use() == "my-disc"


@pytest.mark.parametrize("state", ["failed", "stopped"])
def test_only_a_finished_training_counts(trainer: tuple[GraderWork, Trainer], state: str):
    work, made = trainer
    finish(work, "eye1", "eye2")
    made.train(work)
    made.install()
    made.end(state, "The disk is full.")
    assert made.said[-1] == ("The training did not finish, so nothing changes. The disk is full.")
    assert in_use() == "my-disc"
    made.train(work)
    made.end()
    made.training.consider(work, "disc", 2)
    assert len(made.plans) == 2


def test_another_target_or_grader_is_trained_apart(
    trainer: tuple[GraderWork, Trainer], make_adapter: Callable
):
    work, made = trainer
    install_adapter(make_adapter("my-cup", TARGETS["cup"]))
    finish(work, "eye1", "eye2")
    for stem in ("eye1", "eye2"):
        work.grader.corrections.save(stem, work.session.path(stem), {"cup": disk(6)})
    made.train(work)
    made.end()
    made.install()
    assert made.train(work, "cup").startswith("cup-")
    made.end(dice=0.6)
    with SessionGrader(work.session, "ben") as grader:
        other = GraderWork(made.training._viewer, grader)
        finish(other, "eye1", "eye2")
        made.train(other)
        assert made.plans[-1].start_from == "my-disc", "anna's training made what is in use"
        other.close(save=False)


def test_every_training_starts_from_the_same_adapter(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    finish(work, "eye1", "eye2")
    first = made.train(work)
    made.end()
    made.install()
    _forget_images(work)
    finish(work, "eye3")
    second = made.train(work)
    assert made.plans[-1].start_from == "my-disc"
    assert [pair.name for pair in made.plans[-1].pairs] == ["eye1", "eye2", "eye3"]
    assert in_use() == first, "while the second one is trained"
    made.end(dice=0.6)
    assert made.said[-1] == f"No improvement over my-disc (Dice 0.700); keeping {first}."
    _forget_images(work)
    third = made.train(work)
    made.end()
    made.install()
    assert in_use() == third
    made.training.undo(work, "disc")
    assert in_use() == first
    made.training.undo(work, "disc")
    assert in_use() == "my-disc"
    assert second not in read_trainings(work.grader.folder).of("disc").used


def test_it_holds_after_a_restart(
    trainer: tuple[GraderWork, Trainer],
    install: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
):
    work, made = trainer
    finish(work, "eye1", "eye2")
    first = made.train(work)
    made.end()
    made.install()
    later = Trainer(made.training._viewer, install, monkeypatch)
    assert later.training.can_undo(work, "disc")
    later.training.consider(work, "disc", 2)
    assert later.plans == [], "these images were trained on"
    _forget_images(work)
    later.train(work)
    assert (later.plans[-1].start_from, in_use()) == ("my-disc", first)


def test_adapter_chosen_by_hand_is_the_initial_one(
    trainer: tuple[GraderWork, Trainer], install: Callable[[str], None]
):
    work, made = trainer
    finish(work, "eye1", "eye2")
    made.train(work)
    made.end()
    made.install()
    install("other-disc")
    set_adapter_of("disc", "other-disc")
    assert not made.training.can_undo(work, "disc")
    _forget_images(work)
    name = made.train(work)
    assert made.plans[-1].start_from == "other-disc"
    made.end()
    made.install()
    assert in_use() == name
    made.training.undo(work, "disc")
    assert in_use() == "other-disc"


def test_adapter_changed_meanwhile_is_not_replaced(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    finish(work, "eye1", "eye2")
    first = made.train(work)
    made.end()
    made.install()
    _forget_images(work)
    made.train(work)
    assert made.training.can_undo(work, "disc"), "while the next one is trained"
    made.training.undo(work, "disc")
    assert made.said[-1] == (
        "The disc is predicted with my-disc again. The training in progress will not replace it."
    )
    made.install()
    made.end()
    assert in_use() == "my-disc"
    assert "is not used, as the adapter of the disc was changed meanwhile" in made.said[-1]
    assert first not in read_trainings(work.grader.folder).of("disc").used


def test_stopped_training_is_not_used(trainer: tuple[GraderWork, Trainer]):
    work, made = trainer
    finish(work, "eye1", "eye2")
    made.train(work)
    made.training.stop()
    assert made.stops == 1
    assert made.said[-1] == "Training stopped; its adapter will not be used."
    made.training.consider(work, "disc", 2)
    assert made.said[-1] == "The training that you stopped is still ending."
    made.training.stop()
    assert made.stops == 1, "once is enough"
    made.install()
    made.end("stopped")
    made.install()
    assert in_use() == "my-disc"
    made.train(work)
    made.training.release()
    assert made.stops == 2
    made.end()
    assert in_use() == "my-disc", "it finished all the same"


def test_default_adapter_stays_while_a_newer_one_is_trained(
    trainer: tuple[GraderWork, Trainer],
):
    work, made = trainer
    set_adapter_of("disc", None)
    assert installed_names() == {"my-disc"}, "none is shipped, so the newest is the default"
    finish(work, "eye1", "eye2")
    made.train(work)
    made.install()
    made.training.stop()
    assert in_use() == "my-disc", "the newest one is that of the training"


def test_damaged_file_and_missing_adapter_are_no_obstacle(
    trainer: tuple[GraderWork, Trainer], install: Callable[[str], None]
):
    work, made = trainer
    finish(work, "eye1", "eye2")
    first = made.train(work)
    made.end()
    made.install()
    install("other-disc")
    delete_adapter("my-disc")
    assert not made.training.can_undo(work, "disc"), "there is nothing to go back to"
    _forget_images(work)
    made.train(work)
    assert made.plans[-1].start_from == "other-disc", f"not {first}"
    made.end(dice=0.6)
    (work.grader.folder / FILE_NAME).write_text('{"format": 1, "tar', encoding="utf-8")
    set_adapter_of("disc", "other-disc")
    made.train(work)
    assert any(FILE_NAME in text and "cannot be read" in text for text in made.said)
    assert read_trainings(work.grader.folder).of("disc").initial.name == "other-disc"


def test_choice_reaches_a_segment_dock_that_is_opened_later(
    trainer: tuple[GraderWork, Trainer],
):
    work, made = trainer
    finish(work, "eye1", "eye2")
    name = made.train(work)
    made.end()
    made.install()
    viewer = made.training._viewer
    dock = SegmentDock(viewer)
    viewer.window.add_dock_widget(dock, name="Segment")
    assert dock.session.choices.choice(TARGETS["disc"]).adapter == name
    dock.session.close()


def test_nothing_is_trained_where_only_is_read(
    trainer: tuple[GraderWork, Trainer], monkeypatch: pytest.MonkeyPatch
):
    work, made = trainer
    finish(work, "eye1", "eye2")
    made.train(work)
    made.end()
    made.install()
    monkeypatch.setattr(work.grader, "read_only", True)
    made.training.consider(work, "disc", 1)
    assert made.said[-1] == "There is no training while the session is read only."
    assert not made.training.can_undo(work, "disc")


def test_without_an_adapter_it_is_said(trainer: tuple[GraderWork, Trainer], notices: list[str]):
    work, made = trainer
    delete_adapter("my-disc")
    finish(work, "eye1", "eye2")
    made.training.consider(work, "disc", 2)
    assert made.plans == []
    assert "no adapter of the disc" in notices[-1]


def _forget_images(work: GraderWork) -> None:
    """Count all images as new again, as if others had been finished."""
    path = work.grader.folder / FILE_NAME
    content = json.loads(path.read_text())
    for target in content["targets"].values():
        target["trained"] = []
    path.write_text(json.dumps(content))
