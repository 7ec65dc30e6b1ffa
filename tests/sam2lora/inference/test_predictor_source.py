"""A predictor that another process loads is the same, or is refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from sam2lora.adapters.folder import Adapter
from sam2lora.errors import AdapterError, ModelError
from sam2lora.inference.pipeline import load_predictor
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.predictor_source import PredictorSource, load_from
from sam2lora.inference.segment import SegmentationTask
from sam2lora.targets import TARGETS


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return load_predictor("nano", device="cpu", precision="bfloat16")


def test_the_same_predictor_is_loaded(predictor: Predictor):
    source = PredictorSource.of(predictor, [], device="cpu")
    loaded = load_from(source)
    assert loaded.base.weights_sha256 == predictor.base.weights_sha256
    assert (loaded.device, loaded.precision) == (predictor.device, "bfloat16")
    assert load_from(predictor) is predictor


def test_other_weights_are_refused(predictor: Predictor):
    source = replace(PredictorSource.of(predictor, [], device="cpu"), weights_sha256="0" * 64)
    with pytest.raises(ModelError, match="nano: has other weights on a worker"):
        source.load()


def test_other_adapters_are_refused(predictor: Predictor, make_adapter: Callable[..., Adapter]):
    outer = SegmentationTask.of(TARGETS["disc"], adapter=make_adapter("disc-test", seed=2))
    task = SegmentationTask.of(TARGETS["cup"], adapter=make_adapter("cup-test"), outer=outer)
    source = PredictorSource.of(predictor, [task, task], device="cpu")
    assert [adapter.name for adapter, _ in source.adapters] == ["cup-test", "disc-test"]
    source.adapters[1][0].weights.write_bytes(b"others")
    with pytest.raises(AdapterError, match="has other weights on a worker"):
        source.load()
