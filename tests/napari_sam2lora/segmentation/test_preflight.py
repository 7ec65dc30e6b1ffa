"""What is said before it can go wrong."""

from dataclasses import replace

import pytest

from napari_sam2lora.segmentation.preflight import warnings
from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.adapters import Adapter
from sam2lora.inference.memory import bytes_needed
from sam2lora.models.registry import BASE_MODELS
from sam2lora.settings import GeometrySettings
from sam2lora.targets import TARGETS

DISC = TARGETS["disc"]


def said(model: str = "nano", choice: ModelChoice | None = None, adapters=(), **how: object) -> str:
    usual = {"shape": (500, 500), "prompted": True}
    return " ".join(
        warnings(model, choice or ModelChoice(), DISC, list(adapters), **{**usual, **how})
    )


def with_card(adapter: Adapter, **fields: object) -> Adapter:
    return replace(adapter, card=adapter.card.model_copy(update=fields))


def test_where_all_is_well_nothing_is_said():
    assert said() == ""
    assert said("mine.safetensors") == ""


def test_a_base_that_has_to_be_downloaded(monkeypatch: pytest.MonkeyPatch):
    assert "tiny is downloaded first (156 MB)" in said("tiny")
    monkeypatch.setenv("SAM2LORA_OFFLINE", "1")
    assert "downloads are off" in said("tiny")


def test_a_big_base_without_an_adapter_or_a_prompt(make_adapter):
    assert "no adapter for disc on tiny" in said("tiny", prompted=False)
    assert "no adapter" not in said("tiny", prompted=True)


def test_an_adapter_for_something_else(make_adapter):
    vessels = make_adapter("vessels")  # on nano
    discs = make_adapter("discs", DISC)
    assert "segments vessel, not disc" in said(choice=ModelChoice("vessels"), adapters=[vessels])
    assert "is for nano, not for tiny" in said("tiny", ModelChoice("discs"), [discs])
    assert "no longer installed" in said(choice=ModelChoice("gone"), adapters=[discs])


def test_an_image_too_large_for_the_memory():
    assert "60000 × 50000 pixels need" in said(shape=(50000, 60000))
    assert "pixels need" not in said(shape=None)


def test_a_big_base_without_its_adapter(make_adapter, monkeypatch: pytest.MonkeyPatch):
    """That there is one does not help who chose the base alone."""
    made = make_adapter("discs", DISC)
    for_tiny = with_card(made, base=made.card.base.model_copy(update={"name": "tiny"}))
    assert "no adapter" not in said("tiny", adapters=[for_tiny], prompted=False)
    assert "no adapter" in said("tiny", ModelChoice(no_adapter=True), [for_tiny], prompted=False)


def test_memory_is_judged_by_what_is_still_to_be_loaded_and_by_how_it_is_looked_at(make_adapter):
    needed = bytes_needed(BASE_MODELS["nano"], (3000, 4000), GeometrySettings.for_target(DISC))
    how = {"shape": (3000, 4000), "free": needed - 1}
    assert "4000 × 3000 pixels need" in said(**how)
    assert said(**how, loaded=True) == ""
    assert said(shape=(3000, 4000), free=needed) == ""
    # An adapter that looks at tiles keeps more; so does the user who asks for them.
    tiles = GeometrySettings(detail="tiles", field_size=4000)
    adapter = with_card(make_adapter("discs", DISC), geometry=tiles)
    assert "need" in said(shape=(3000, 4000), free=needed, adapters=[adapter])
    assert (
        said(
            choice=ModelChoice(no_adapter=True), adapters=[adapter], shape=(3000, 4000), free=needed
        )
        == ""
    )
