"""The events of a run as curves and figures."""

from napari_sam2lora.training.run.history import RunHistory
from sam2lora.runs import (
    PreviewEvent,
    ResumedEvent,
    StartedEvent,
    WarningEvent,
)

from ..conftest import step, validation


def test_curves_have_the_loss_and_every_term() -> None:
    history = RunHistory([step(1, 2.0), step(2, 1.0)])
    assert history.losses() == {"loss": ([1, 2], [2.0, 1.0]), "bce": ([1, 2], [1.0, 0.5])}
    assert RunHistory().losses() == {}


def test_steps_repeated_by_a_resumed_run_replace_the_earlier_ones() -> None:
    history = RunHistory([step(1), step(2), step(3)])
    history.add([ResumedEvent(step=1), step(2, 5.0)])
    assert history.losses()["loss"] == ([1, 2], [1.0, 5.0])


def test_dice_curve_leaves_out_undefined_validations() -> None:
    history = RunHistory([validation(0, 0.5), validation(5, None), validation(10, 0.7)])
    assert history.dice() == ([0, 10], [0.5, 0.7])
    assert history.start_dice == 0.5
    assert RunHistory([validation(5, 0.6)]).start_dice is None


def test_time_left_counts_validations() -> None:
    history = RunHistory([StartedEvent(target="disc", base="nano", steps=10), step(4)])
    assert history.seconds_left() == 6
    history.add([validation(4, 0.5)])
    assert history.seconds_left(2) == 6 + 3 * 3
    assert RunHistory().seconds_left() is None


def test_warnings_are_listed_once_and_previews_in_order() -> None:
    history = RunHistory([WarningEvent(words="full"), WarningEvent(words="full")])
    assert history.warnings == ["full"]
    history.add([PreviewEvent(step=3, path="previews/3.png")])
    assert [preview.step for preview in history.previews] == [3]


def test_a_point_is_not_measured_by_a_dice() -> None:
    assert RunHistory().measure == "Dice"
    for target, measure in {"disc": "Dice", "unknown": "Dice", "fovea": "closeness"}.items():
        begun = StartedEvent(target=target, base="nano", steps=10)
        assert RunHistory([begun]).measure == measure
