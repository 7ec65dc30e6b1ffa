"""Warnings before a prediction."""

from dataclasses import replace

import pytest

from napari_sam2lora.segmentation.preflight import has_adapter, warnings
from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.adapters import Adapter
from sam2lora.inference.memory import bytes_needed
from sam2lora.models.registry import BASE_MODELS
from sam2lora.settings import GeometrySettings
from sam2lora.targets import TARGETS

DISC = TARGETS["disc"]


def messages(
    model: str = "nano", choice: ModelChoice | None = None, adapters=(), **more: object
) -> str:
    defaults = {"shape": (500, 500), "prompted": True}
    return " ".join(
        warnings(model, choice or ModelChoice(), DISC, list(adapters), **{**defaults, **more})
    )


def with_card(adapter: Adapter, **fields: object) -> Adapter:
    return replace(adapter, card=adapter.card.model_copy(update=fields))


def test_no_warning_for_a_usable_model():
    assert messages() == ""
    assert messages("mine.safetensors") == ""


def test_model_to_be_downloaded_is_announced(monkeypatch: pytest.MonkeyPatch):
    assert "tiny is downloaded first (156 MB)" in messages("tiny")
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    assert "downloads are off" in messages("tiny")


def test_sam2_base_needs_an_adapter_or_a_prompt(make_adapter):
    assert "no adapter for disc on tiny" in messages("tiny", prompted=False)
    assert "no adapter" not in messages("tiny", prompted=True)


def test_unfitting_or_missing_adapter_is_warned_of(make_adapter):
    vessels = make_adapter("vessels")  # on nano
    discs = make_adapter("discs", DISC)
    assert "segments vessel, not disc" in messages(
        choice=ModelChoice("vessels"), adapters=[vessels]
    )
    assert "is for nano, not for tiny" in messages("tiny", ModelChoice("discs"), [discs])
    assert "no longer installed" in messages(choice=ModelChoice("gone"), adapters=[discs])


def test_image_too_large_for_the_memory_is_warned_of():
    assert "60000 × 50000 pixels need" in messages(shape=(50000, 60000))
    assert "pixels need" not in messages(shape=None)


def test_sam2_base_with_adapter_disabled_needs_a_prompt(
    make_adapter, monkeypatch: pytest.MonkeyPatch
):
    """An adapter is ignored if the user chose none."""
    made = make_adapter("discs", DISC)
    for_tiny = with_card(made, base=made.card.base.model_copy(update={"name": "tiny"}))
    assert "no adapter" not in messages("tiny", adapters=[for_tiny], prompted=False)
    assert "no adapter" in messages(
        "tiny", ModelChoice(no_adapter=True), [for_tiny], prompted=False
    )


def test_memory_warning_depends_on_loaded_models_and_input_mode(make_adapter):
    needed = bytes_needed(BASE_MODELS["nano"], (3000, 4000), GeometrySettings.for_target(DISC))
    large = {"shape": (3000, 4000), "free": needed - 1}
    assert "4000 × 3000 pixels need" in messages(**large)
    assert messages(**large, loaded=True) == ""
    assert messages(shape=(3000, 4000), free=needed) == ""
    # An adapter with tiled input keeps more embeddings.
    tiles = GeometrySettings(detail="tiles", field_size=4000)
    adapter = with_card(make_adapter("discs", DISC), geometry=tiles)
    assert "need" in messages(shape=(3000, 4000), free=needed, adapters=[adapter])
    assert (
        messages(
            choice=ModelChoice(no_adapter=True), adapters=[adapter], shape=(3000, 4000), free=needed
        )
        == ""
    )


def test_target_has_an_adapter_if_the_chosen_or_another_one_fits(make_adapter):
    discs = make_adapter("discs", DISC)
    assert has_adapter("nano", ModelChoice(), DISC, [discs])
    assert has_adapter("nano", ModelChoice("discs"), DISC, [discs])
    assert not has_adapter("tiny", ModelChoice("discs"), DISC, [discs])
    assert not has_adapter("nano", ModelChoice("one that was deleted"), DISC, [discs])
    assert not has_adapter("tiny", ModelChoice(), DISC, [discs])
    assert not has_adapter("nano", ModelChoice(), TARGETS["cup"], [discs])
    assert not has_adapter("nano", ModelChoice(no_adapter=True), DISC, [discs])
