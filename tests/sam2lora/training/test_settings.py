"""Training settings: presets, merging of changes, and invalid values."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sam2lora.errors import SettingsError
from sam2lora.settings import DetailHeadSettings, GeometrySettings
from sam2lora.training.settings import (
    PRESETS,
    TrainSettings,
    make_settings,
    validate_settings,
)

DATA = {"data": [{"root": "eyes"}]}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_with_data(preset: str) -> None:
    settings = make_settings(preset, DATA)
    assert settings.data[0].root == "eyes"
    assert settings.targets == ("vessel",)


def test_there_are_five_presets() -> None:
    assert set(PRESETS) == {"quick", "detail", "standard", "paper", "low-memory"}


def test_detail_trains_a_detail_head_alone_on_larger_tiles() -> None:
    settings = make_settings("detail", DATA)
    assert settings.freeze_network
    assert settings.reuses_windows
    assert settings.detail_head == DetailHeadSettings()
    assert settings.geometry_for("vessel").detail == "tiles"
    assert settings.geometry_for("vessel").field_size < GeometrySettings().field_size
    assert make_settings("detail", DATA, {"target": "disc"}).geometry is None
    assert make_settings("standard", DATA, {"detail_head": {}}).detail_head == DetailHeadSettings()
    assert make_settings("standard", DATA).detail_head is None


def test_paper_preset_follows_the_paper() -> None:
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
    sampled = {name for name, weight in paper.prompts.weights.items() if weight}
    assert (sampled, paper.prompts.positive, paper.prompts.negative) == ({"points"}, (5, 5), (0, 0))
    assert paper.multimask_token
    optimizer = paper.optimizer
    assert (optimizer.learning_rate, optimizer.weight_decay, optimizer.clip) == (1e-4, 3e-4, 1.0)
    assert (optimizer.schedule, optimizer.restart_every) == ("restarts", 1000)
    assert (paper.batch, paper.accumulate) == (2, 4)
    assert paper.steps * paper.accumulate == 120_000
    assert paper.precision == "float16"


def test_paper_preset_uses_the_union_of_graders_by_default() -> None:
    assert [source.grader for source in make_settings("paper", DATA).data] == ["union"]
    first = {"data": [{"root": "eyes", "grader": 1}]}
    assert [source.grader for source in make_settings("paper", first).data] == [1]
    assert [source.grader for source in make_settings("standard", DATA).data] == [1]


def test_low_memory_has_as_many_samples_per_step_as_standard() -> None:
    standard, low = make_settings("standard", DATA), make_settings("low-memory", DATA)
    assert low.batch * low.accumulate == standard.batch * standard.accumulate
    assert low.gradient_checkpointing
    assert low.batch == 1


@pytest.mark.parametrize(("target", "frozen"), [("disc", True), ("cup", True), ("vessel", False)])
def test_quick_freezes_the_encoder_except_for_fine_targets(target: str, frozen: bool) -> None:
    settings = make_settings("quick", DATA, {"target": target})
    assert settings.freeze_encoder is frozen
    assert settings.freeze_network is not frozen
    assert (settings.detail_head is None) is frozen
    assert make_settings("quick", DATA, {"target": target, "steps": 7}).steps == 7


def test_presets_accept_an_unknown_target() -> None:
    assert make_settings("quick", DATA, {"target": "fovea?"}).freeze_encoder


def test_changes_merge_into_nested_settings_and_the_last_wins() -> None:
    settings = make_settings(
        "paper", DATA, {"optimizer": {"learning_rate": 5e-4}}, {"optimizer": {"clip": 2}}
    )
    assert settings.optimizer.learning_rate == 5e-4
    assert settings.optimizer.clip == 2
    assert settings.optimizer.schedule == "restarts"
    assert make_settings("paper", DATA).optimizer.learning_rate == 1e-4


def test_settings_round_trip_through_json() -> None:
    settings = make_settings("paper", DATA, {"also": ["disc"], "seed": 7})
    assert validate_settings(json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimiser": {}}, "optimiser"),
        ({"optimizer": {"momentum": 0.9}}, "optimizer.momentum"),
        ({"steps": 0}, "steps"),
        ({"steps": 10**400}, "steps"),
        ({"steps": 1e400}, "steps"),
        ({"checkpoint_every": 10**19}, "checkpoint_every"),
        ({"validation": {"every": 10**400}}, "validation.every"),
        ({"seed": 10**400}, "seed"),
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
def test_invalid_setting_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message.replace(".", r"\.")):
        make_settings("standard", DATA, changes)


def test_unknown_preset_is_refused_with_the_available_ones() -> None:
    with pytest.raises(SettingsError, match=r"'fast'.*standard, quick, detail, low-memory, paper"):
        make_settings("fast", DATA)


def test_data_is_required() -> None:
    with pytest.raises(SettingsError, match="data"):
        make_settings("standard")
    with pytest.raises(SettingsError, match="data"):
        make_settings("paper")


def test_data_source_must_be_a_mapping() -> None:
    with pytest.raises(SettingsError, match=r"data\.0"):
        make_settings("paper", {"data": ["eyes"]})


def test_settings_are_frozen(make: Callable[..., TrainSettings]) -> None:
    with pytest.raises(ValueError, match="frozen"):
        make().steps = 5  # type: ignore[misc]
