"""What is said before it can go wrong."""

import pytest

from napari_sam2lora._questions import Choice
from napari_sam2lora.segment.checks import warnings
from sam2lora.targets import TARGETS

DISC = TARGETS["disc"]


def said(model: str = "nano", choice: Choice | None = None, adapters=(), **how: object) -> str:
    usual = {"shape": (500, 500), "prompted": True}
    return " ".join(warnings(model, choice or Choice(), DISC, list(adapters), **{**usual, **how}))


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
    assert "segments vessel, not disc" in said(choice=Choice("vessels"), adapters=[vessels])
    assert "is for nano, not for tiny" in said("tiny", Choice("discs"), [discs])
    assert "not there any more" in said(choice=Choice("gone"), adapters=[discs])


def test_an_image_too_large_for_the_memory():
    assert "60000 × 50000 pixels need" in said(shape=(50000, 60000))
    assert "pixels need" not in said(shape=None)
