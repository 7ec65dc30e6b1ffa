"""Settings of a training: what presets set, how changes add up, what is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sam2lora.errors import SettingsError
from sam2lora.training.settings import (
    PRESETS,
    TrainSettings,
    make_settings,
    validate_settings,
)

DATA = {"data": [{"root": "eyes"}]}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_once_it_has_data(preset: str) -> None:
    settings = make_settings(preset, DATA)
    assert settings.data[0].root == "eyes"
    assert settings.targets == ("vessel",)


def test_the_issue_names_four_presets() -> None:
    assert set(PRESETS) == {"quick", "standard", "paper", "low-memory"}


def test_paper_sets_what_the_paper_did() -> None:
    paper = make_settings("paper", DATA)
    assert paper.geometry_for("vessel").detail == "squash"
    assert paper.loss.reduction == "batch"
    assert paper.loss.weights.model_dump() == {
        **{"bce": 1, "soft_dice": 1, "focal_tversky": 1},
        **{"iou": 0.1, "cldice": 0},
    }
    assert paper.lora.placement == "attention"
    assert (paper.lora.init, paper.lora.dropout) == ("gaussian_sqrt", 0.1)
    assert not paper.lora.train_heads
    drawn = {name for name, weight in paper.prompts.weights.items() if weight}
    assert (drawn, paper.prompts.positive, paper.prompts.negative) == ({"points"}, (5, 5), (0, 0))
    assert paper.multimask_token
    optimizer = paper.optimizer
    assert (optimizer.learning_rate, optimizer.weight_decay, optimizer.clip) == (1e-4, 3e-4, 1.0)
    assert (optimizer.schedule, optimizer.restart_every) == ("restarts", 1000)
    assert (paper.batch, paper.accumulate) == (2, 4)
    assert paper.steps * paper.accumulate == 120_000
    assert paper.precision == "float16"


def test_paper_takes_what_any_grader_marked_unless_told_otherwise() -> None:
    assert [source.grader for source in make_settings("paper", DATA).data] == ["union"]
    first = {"data": [{"root": "eyes", "grader": 1}]}
    assert [source.grader for source in make_settings("paper", first).data] == [1]
    assert [source.grader for source in make_settings("standard", DATA).data] == [1]


def test_low_memory_sees_as_many_samples_a_step_as_standard() -> None:
    standard, low = make_settings("standard", DATA), make_settings("low-memory", DATA)
    assert low.batch * low.accumulate == standard.batch * standard.accumulate
    assert low.gradient_checkpointing
    assert low.batch == 1


@pytest.mark.parametrize(("target", "frozen"), [("disc", True), ("cup", True), ("vessel", False)])
def test_quick_freezes_the_encoder_unless_the_target_is_fine(target: str, frozen: bool) -> None:
    settings = make_settings("quick", DATA, {"target": target})
    assert settings.freeze_encoder is frozen
    assert make_settings("quick", DATA, {"target": target, "steps": 7}).steps == 7


def test_an_unknown_target_is_not_the_presets_business() -> None:
    assert make_settings("quick", DATA, {"target": "fovea?"}).freeze_encoder


def test_changes_go_into_nested_settings_and_the_last_one_counts() -> None:
    settings = make_settings(
        "paper", DATA, {"optimizer": {"learning_rate": 5e-4}}, {"optimizer": {"clip": 2}}
    )
    assert settings.optimizer.learning_rate == 5e-4
    assert settings.optimizer.clip == 2
    assert settings.optimizer.schedule == "restarts"
    assert make_settings("paper", DATA).optimizer.learning_rate == 1e-4


def test_settings_come_back_from_their_file() -> None:
    settings = make_settings("paper", DATA, {"also": ["disc"], "seed": 7})
    assert validate_settings(json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimiser": {}}, "optimiser"),
        ({"optimizer": {"momentum": 0.9}}, "optimizer.momentum"),
        ({"steps": 0}, "steps"),
        ({"batch": "many"}, "batch"),
        ({"optimizer": {"learning_rate": float("nan")}}, "optimizer.learning_rate"),
        ({"validation": {"share": 1}}, "validation.share"),
        ({"data": []}, "data"),
        ({"data": [{"root": "eyes", "include": "p["}]}, "data.0.include"),
        ({"data": [{"root": "eyes", "exclude": "p["}]}, "data.0.exclude"),
        ({"seed": 2**64}, "seed"),
        ({"prompts": {"none": 0, "points": 0, "box": 0, "box_and_points": 0, "previous": 0}}, "no"),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_named(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words.replace(".", r"\.")):
        make_settings("standard", DATA, changes)


def test_an_unknown_preset_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"'fast'.*standard, quick, low-memory, paper"):
        make_settings("fast", DATA)


def test_data_is_needed() -> None:
    with pytest.raises(SettingsError, match="data"):
        make_settings("standard")
    with pytest.raises(SettingsError, match="data"):
        make_settings("paper")


def test_a_source_is_more_than_a_word() -> None:
    with pytest.raises(SettingsError, match=r"data\.0"):
        make_settings("paper", {"data": ["eyes"]})


def test_settings_cannot_be_changed_afterwards(make: Callable[..., TrainSettings]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        make().steps = 5  # type: ignore[misc]
