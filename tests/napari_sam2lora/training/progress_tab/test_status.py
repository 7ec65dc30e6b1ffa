"""How a run stands, in words."""

import pytest

from napari_sam2lora.training.progress_tab.status import (
    RunProgressView,
    describe_dice,
    describe_state,
    duration,
)
from napari_sam2lora.training.run.history import RunHistory
from sam2lora.runs import CheckpointEvent, RunStatus, StartedEvent, WarningEvent

from ..run.test_history import step, validation


def history() -> RunHistory:
    begun = StartedEvent(target="disc", base="nano", steps=10)
    return RunHistory([begun, validation(0, 0.5), step(4)])


def test_time_and_memory_are_said() -> None:
    words = describe_state(RunStatus("running"), history())
    assert words == "Training, about 6 s left; memory 0.0 GiB."


def test_one_that_has_not_begun_is_not_interrupted() -> None:
    words = describe_state(RunStatus("new", "It has not begun."), RunHistory())
    assert words == "It has not begun."


def test_what_is_kept_is_said_where_it_ended_early() -> None:
    past = history()
    words = describe_state(RunStatus("interrupted", "It was killed."), past)
    assert words.startswith("Interrupted. It was killed. It wrote no state yet")
    assert words.endswith("Resume begins again.")
    past.add([CheckpointEvent(step=4), WarningEvent(words="Be careful.")])
    words = describe_state(RunStatus("interrupted", "It was killed."), past)
    # What it started from is no result of it.
    assert words.endswith("last state is of step 4; Resume goes on from there. Be careful.")
    past.add([validation(4, 0.625)])
    words = describe_state(RunStatus("interrupted", "It was killed."), past)
    assert "last state is of step 4; its best adapter, of step 4, is kept" in words


def test_dice_stands_beside_that_of_the_start() -> None:
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


def test_times_are_those_of_the_command_line() -> None:
    assert [duration(s) for s in (5, 65, 3700)] == ["5 s", "1 min 05 s", "1 h 01 min"]


@pytest.mark.viewer
def test_a_bar_shows_the_steps(qtbot) -> None:
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
