"""Comparing models: agreement with the reference, and the layers that show it."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.model_comparison import ModelComparison, compare_models
from napari_sam2lora.segmentation.requests import FailedRequest, ModelChoice, SegmentationRequest
from sam2lora.errors import AdapterError
from sam2lora.types import Mask

from .conftest import DISC, Core, make_result


def square(start: int) -> Mask:
    """Create a mask of 40 × 40 pixels, whose columns begin at `start`."""
    mask = np.zeros((200, 200), bool)
    mask[80:120, start : start + 40] = True
    return mask


MASKS = {"first": square(80), "second": square(90)}
MODELS = [(name, ModelChoice(adapter=name)) for name in ("first", "missing", "second")]


class StandIn:
    """An engine whose adapters find the squares above."""

    def try_segment(self, request: SegmentationRequest, report: object) -> Any:
        name = request.choice.adapter
        if name not in MASKS:
            return FailedRequest(request, AdapterError(f"no adapter called {name}"))
        result = make_result(request)
        pixels = np.zeros((200, 200, 3), np.uint8)
        prepared = SimpleNamespace(**vars(result.prepared), pixels=pixels)
        return replace(result, prepared=prepared, prediction=SimpleNamespace(mask=MASKS[name]))


@pytest.fixture
def disc_request(core: Core) -> SegmentationRequest:
    return core.queue.make_request(core.image, DISC)


@pytest.fixture
def comparison(core: Core) -> ModelComparison:
    """Create the comparison of a viewer."""
    return ModelComparison(core.viewer, core.queue.worker)


def start(core: Core, comparison: ModelComparison, request: SegmentationRequest, display: str):
    """Compare all models, and wait for the results."""
    comparison.start(StandIn(), core.image, request, MODELS, reference=None, display=display)
    core.idle()


def shown(core: Core) -> list:
    """Return the layers of the comparison."""
    layers = core.viewer.layers
    return [each for each in layers if plugin_metadata(each.metadata).get("view") == "comparison"]


def test_first_model_is_the_reference_unless_one_is_given(disc_request) -> None:
    first, missing, second = compare_models(StandIn(), disc_request, MODELS, None, print)
    assert (first.score_text, second.score_text) == ("reference", "Dice 0.750")
    assert missing.result is None
    assert missing.score_text == "no adapter called missing"
    first, _, second = compare_models(StandIn(), disc_request, MODELS, MASKS["second"], print)
    assert (first.score_text, second.score_text) == ("Dice 0.750", "Dice 1.000")


def test_agreement_distinguishes_true_and_false_positives_and_false_negatives(
    disc_request,
) -> None:
    *_, second = compare_models(StandIn(), disc_request, MODELS, MASKS["first"], print)
    assert [int((second.agreement == value).sum()) for value in (1, 2, 3)] == [1200, 400, 400]
    assert second.agreement[100, 125] == 2
    assert second.agreement[100, 85] == 3


def test_blinking_layers_lie_over_the_image_and_one_is_visible(
    core: Core, comparison: ModelComparison, disc_request
) -> None:
    start(core, comparison, disc_request, "blink")
    assert [layer.name for layer in shown(core)] == ["first: reference", "second: Dice 0.750"]
    assert [layer.visible for layer in shown(core)] == [True, False]
    comparison._blink()
    assert [layer.visible for layer in shown(core)] == [False, True]


def test_clear_removes_the_layers_and_the_results(
    core: Core, comparison: ModelComparison, disc_request
) -> None:
    start(core, comparison, disc_request, "blink")
    assert len(comparison.results) == 3
    comparison.clear()
    assert shown(core) == []
    assert comparison.results == []


def test_closed_comparison_adds_no_layers(
    core: Core, comparison: ModelComparison, disc_request
) -> None:
    comparison.start(StandIn(), core.image, disc_request, MODELS, reference=None, display="blink")
    comparison.close()
    core.idle()
    assert shown(core) == []
