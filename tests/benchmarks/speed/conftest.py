"""Fixtures: settings and a base model for fast measurements."""

import pytest

from benchmarks.speed import prediction, training
from benchmarks.speed.definitions import BenchmarkSettings
from sam2lora.models.loading import LoadedModel


@pytest.fixture
def small() -> BenchmarkSettings:
    """Return settings for a fast measurement."""
    return BenchmarkSettings(
        base="nano", rounds=1, device="cpu", width=96, height=64, rank=2, images=2
    )


@pytest.fixture
def small_base(pocket, monkeypatch: pytest.MonkeyPatch) -> LoadedModel:
    """Use nano at 128² on all sides of this process, and return it."""
    for module in (prediction, training):
        monkeypatch.setattr(module, "load_base", pocket)
    return pocket()
