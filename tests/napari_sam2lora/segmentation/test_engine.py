"""The engine with the real network nano, and without a window."""

from dataclasses import replace

import numpy as np
import pytest

from napari_sam2lora.segmentation.engine import Engine
from napari_sam2lora.segmentation.requests import (
    ComputeSettings,
    FailedRequest,
    ModelChoice,
    SegmentationRequest,
)
from sam2lora.adapters import delete_adapter
from sam2lora.errors import AdapterError, GeometryError
from sam2lora.inference.segment import segment_prepared
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.targets import TARGETS

from .conftest import DISC, Core

CPU = ComputeSettings(device="cpu", precision="float32")


def no_report(*_: object) -> None:
    """Ignore progress."""


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def request_disc(core: Core) -> SegmentationRequest:
    """Create a request for the disc in one window, without adapter."""
    request = core.queue.make_request(core.image, DISC)
    return replace(request, compute=CPU, choice=ModelChoice(no_adapter=True, detail="whole"))


def test_result_equals_that_of_the_library(
    engine: Engine, request_disc: SegmentationRequest
) -> None:
    prompted = replace(request_disc, prompts=Prompts((PointPrompt(70, 90),)))
    result = engine.segment(prompted, no_report)
    predictor = engine.predictor(CPU, no_report)
    expected = segment_prepared(predictor, result.prepared, [result.task])["disc"]
    # The last bits of sums depend on the alignment of the arrays in memory.
    np.testing.assert_allclose(result.prediction.probabilities, expected.probabilities, atol=1e-5)


def test_predictor_and_prepared_image_are_cached(
    engine: Engine, request_disc: SegmentationRequest
) -> None:
    first = engine.segment(request_disc, no_report)
    predictor = engine.predictor(CPU, no_report)
    assert engine.segment(request_disc, no_report).prepared is first.prepared
    assert engine.predictor(CPU, no_report) is predictor
    engine.release()
    assert engine.predictor(CPU, no_report) is not predictor


def test_failed_request_holds_the_error_and_the_field_of_view(
    engine: Engine, request_disc: SegmentationRequest
) -> None:
    outside = replace(request_disc, prompts=Prompts((PointPrompt(1, 1),)))
    failed = engine.try_segment(outside, no_report)
    assert isinstance(failed, FailedRequest)
    assert isinstance(failed.error, GeometryError)
    assert failed.field.shape == (200, 200)
    missing = replace(request_disc, choice=ModelChoice(adapter="missing"))
    failed = engine.try_segment(missing, no_report)
    assert isinstance(failed, FailedRequest)
    assert isinstance(failed.error, AdapterError)


def test_adapters_are_found_again_when_their_revision_changes(
    engine: Engine, request_disc: SegmentationRequest, install_for_nano
) -> None:
    install_for_nano("mine")
    mine = replace(request_disc, choice=ModelChoice(adapter="mine"))
    assert engine.segment(mine, no_report).task.adapter.name == "mine"
    delete_adapter("mine")
    assert engine.segment(mine, no_report).task.adapter.name == "mine"
    with pytest.raises(AdapterError, match="mine"):
        engine.segment(replace(mine, adapters_revision=1), no_report)


def test_main_memory_is_not_freed(engine: Engine) -> None:
    predictor = engine.predictor(CPU, no_report)
    engine.free(no_report)
    assert engine.predictor(CPU, no_report) is predictor


def test_device_is_described_or_its_error(engine: Engine) -> None:
    assert engine.describe(CPU, no_report).text == "Runs on cpu in float32."
    unknown = engine.describe(replace(CPU, device="tpu"), no_report)
    assert unknown.text == unknown.hint
    assert "tpu" in unknown.text


def test_cup_stays_in_the_disc_that_is_known(
    engine: Engine, request_disc: SegmentationRequest
) -> None:
    disc = np.zeros((200, 200), np.bool_)
    disc[60:100, 60:100] = True
    request = replace(request_disc, target=TARGETS["cup"], choice=ModelChoice(), outer_mask=disc)
    probabilities = engine.segment(request, no_report).prediction.probabilities
    assert not probabilities[~disc].any()
    assert probabilities[disc].any()
