"""The state of a run as text."""

import pytest

from napari_sam2lora.training.progress_tab.status import (
    RunProgressView,
    describe_dice,
    describe_state,
    duration,
)
from napari_sam2lora.training.run.history import RunHistory
from sam2lora.runs import CheckpointEvent, RunStatus, StartedEvent, WarningEvent

from ..conftest import step, validation


def history() -> RunHistory:
    begun = StartedEvent(target="disc", base="nano", steps=10)
    return RunHistory([begun, validation(0, 0.5), step(4)])


def test_running_state_has_time_left_and_memory() -> None:
    text = describe_state(RunStatus("running"), history())
    assert text == "Training, about 6 s left; memory 0.0 GiB."


def test_interrupted_state_has_the_checkpoint_and_the_best_adapter() -> None:
    past = history()
    text = describe_state(RunStatus("interrupted", "It was killed."), past)
    assert text.startswith("Interrupted. It was killed. It wrote no checkpoint yet")
    assert text.endswith("Resume starts again.")
    past.add([CheckpointEvent(step=4), WarningEvent(words="Be careful.")])
    text = describe_state(RunStatus("interrupted", "It was killed."), past)
    # The initial adapter is no result of the run.
    assert text.endswith("last checkpoint is of step 4; Resume continues from there. Be careful.")
    past.add([validation(4, 0.625)])
    text = describe_state(RunStatus("interrupted", "It was killed."), past)
    assert "last checkpoint is of step 4; its best adapter, of step 4, is kept" in text


def test_best_dice_is_compared_with_the_initial_one() -> None:
    past = history()
    assert describe_dice(past) == "Validation Dice: 0.500 at the start."
    past.add([validation(2, 0.25).model_copy(update={"best": 0.5, "best_step": 0})])
    assert describe_dice(past) == "Validation Dice: 0.500 at the start; none better."
    past.add([validation(4, 0.625)])
    assert describe_dice(past) == (
        "Validation Dice: best 0.625 at step 4; at the start 0.500 (+0.125)."
    )
    past = RunHistory([validation(0, 0.9524), validation(4, 0.9566)])
    assert describe_dice(past).endswith("best 0.957 at step 4; at the start 0.952 (+0.005).")
    assert describe_dice(RunHistory([validation(4, 0.5)])).endswith("best 0.500 at step 4.")
    assert describe_dice(RunHistory()) == ""


def test_validation_images_without_errors_are_named() -> None:
    dice = dict.fromkeys(("a", "b", "c", "d"), 0.99)
    later = validation(2, 0.98).model_copy(update={"best": 0.99, "best_step": 0, "dice": dice})
    assert describe_dice(RunHistory([validation(0, 0.99), later])) == (
        "Validation Dice: 0.990 at the start; none better. There is little to correct in the "
        "validation images (a, b, c, …): correct others, too."
    )


def test_point_has_its_closeness() -> None:
    begun = StartedEvent(target="fovea", base="nano", steps=10)
    text = describe_dice(RunHistory([begun, validation(4, 0.5)]))
    assert text.startswith("Validation closeness: best 0.500")


def test_duration_is_written_as_by_the_command_line() -> None:
    assert [duration(s) for s in (5, 65, 3700)] == ["5 s", "1 min 05 s", "1 h 01 min"]


@pytest.mark.viewer
def test_bar_shows_the_steps(qtbot) -> None:
    progress = RunProgressView()
    qtbot.addWidget(progress)
    progress.show_run(None, RunHistory())
    assert "No training yet" in progress._state.text()
    progress.show_run(RunStatus("starting"), RunHistory())
    # Qt moves a bar of 0 to 0, and each time the whole window is drawn again.
    assert (progress._bar.value(), progress._bar.maximum()) == (0, 1)
    assert not progress._bar.isTextVisible()
    progress.show_run(RunStatus("running"), history())
    assert progress._bar.isTextVisible()
    assert (progress._bar.value(), progress._bar.maximum()) == (4, 10)
