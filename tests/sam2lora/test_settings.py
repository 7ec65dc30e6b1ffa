"""Settings are frozen, refuse unknown keys, and are read back from a file unchanged."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from sam2lora import settings
from sam2lora.settings import (
    GeometrySettings,
    LoraSettings,
    LossSettings,
    LossWeights,
    PromptSamplingSettings,
    Settings,
)
from sam2lora.targets import TARGETS

ALL = [
    kind
    for kind in vars(settings).values()
    if isinstance(kind, type) and issubclass(kind, Settings) and kind is not Settings
]


def test_settings_classes_are_found() -> None:
    assert {GeometrySettings, LoraSettings, LossSettings, LossWeights} <= set(ALL)


@pytest.mark.parametrize("kind", ALL)
def test_unknown_key_is_named(kind: type[Settings]) -> None:
    with pytest.raises(ValidationError, match="lerning_rate"):
        kind.model_validate({"lerning_rate": 1})


@pytest.mark.parametrize("kind", ALL)
def test_settings_are_frozen(kind: type[Settings]) -> None:
    made = kind()
    for name, value in made:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(made, name, value)


@pytest.mark.parametrize("kind", ALL)
def test_settings_are_read_back_from_json(kind: type[Settings]) -> None:
    text = kind().model_dump_json()
    assert kind.model_validate_json(text) == kind()
    assert set(json.loads(text)) == set(kind.model_fields)


@pytest.mark.parametrize("kind", ALL)
def test_every_setting_has_a_description(kind: type[Settings]) -> None:
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("kind", ALL)
def test_defaults_are_within_their_own_limits(kind: type[Settings]) -> None:
    """Pydantic does not check defaults; a copy made from their values is checked."""
    assert kind.model_validate(kind().model_dump()) == kind()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("vessel", GeometrySettings(detail="tiles")),
        ("disc", GeometrySettings(detail="zoom", convex=True, zoom_extent=2.5)),
        ("cup", GeometrySettings(detail="zoom", convex=True, zoom_extent=1.8)),
    ],
)
def test_default_geometry_is_that_of_the_target(target: str, expected: GeometrySettings) -> None:
    assert GeometrySettings.for_target(TARGETS[target]) == expected


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (GeometrySettings, {"detail": "close"}),
        (GeometrySettings, {"margin": -0.1}),
        (GeometrySettings, {"field_size": 64}),
        (GeometrySettings, {"overlap": 0.8}),
        (GeometrySettings, {"zoom_share": 0}),
        (GeometrySettings, {"zoom_share": 1.5}),
        (GeometrySettings, {"zoom_extent": 0.5}),
        (GeometrySettings, {"zoom_range": (0.5, 0.2)}),
        (LossWeights, {"bce": -1}),
        (LossWeights, {"soft_dice": float("nan")}),
        (LossWeights, {"iou": float("inf")}),
        (LossSettings, {"threshold": 1}),
        (LossSettings, {"weights": {"dice": 1}}),
        (LoraSettings, {"rank": 0}),
        (LoraSettings, {"alpha": 0}),
        (LoraSettings, {"dropout": 1}),
        (LoraSettings, {"placement": "everywhere"}),
    ],
)
def test_values_out_of_range_are_refused(kind: type[Settings], values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(values))):
        kind.model_validate(values)


def test_a_loss_that_trains_no_mask_is_refused() -> None:
    nothing = {"bce": 0, "soft_dice": 0, "focal_tversky": 0}
    with pytest.raises(ValidationError, match="no term trains the mask"):
        LossWeights.model_validate(nothing)
    assert LossWeights.model_validate(nothing | {"cldice": 1}).cldice == 1


def test_the_scale_of_lora_is_alpha_by_rank() -> None:
    assert LoraSettings(rank=8, alpha=4).scale == 0.5
    assert LoraSettings(rank=8).scale == 2
    with pytest.raises(ValueError, match="not set"):
        _ = LoraSettings().scale


def test_never_prompting_leaves_one_kind() -> None:
    never = PromptSamplingSettings(corrected=0.5).never()
    assert [name for name, weight in never.weights.items() if weight] == ["none"]
    assert never.corrected == 0


def test_always_prompting_keeps_the_other_weights() -> None:
    mix = PromptSamplingSettings(none=5, box=2)
    assert mix.always().weights == mix.weights | {"none": 0}
    nothing_else = PromptSamplingSettings(
        none=1, points=0, box=0, box_and_points=0, previous=0
    ).always()
    assert nothing_else.weights["points"] == 1
