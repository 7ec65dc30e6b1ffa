"""Fixtures: a side that costs nothing, in the place of all."""

import pytest

from benchmarks.speed import prediction, training
from benchmarks.speed.definitions import BenchmarkSettings
from sam2lora.models.loading import LoadedModel


@pytest.fixture
def small() -> BenchmarkSettings:
    """Give conditions that take little time."""
    return BenchmarkSettings(
        base="nano", rounds=1, device="cpu", width=96, height=64, rank=2, images=2
    )


@pytest.fixture
def small_base(pocket, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """Let all sides of this process use nano at 128²."""
    for module in (prediction, training):
        monkeypatch.setattr(module, "load_base", pocket)
    return pocket()
