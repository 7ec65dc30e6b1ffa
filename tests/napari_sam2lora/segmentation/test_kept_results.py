"""Results are kept while their image is not in the viewer."""

import numpy as np
import pytest

from napari_sam2lora.layers.images import ImageSnapshot
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.segmentation import kept_results
from napari_sam2lora.segmentation.kept_results import KeptResults
from napari_sam2lora.segmentation.requests import SegmentationResult

from ..segmentation_window import fundus
from .conftest import Core


@pytest.fixture
def result(core: Core) -> SegmentationResult:
    return core.submit()


def snapshot(seed: int = 0) -> ImageSnapshot:
    return ImageSnapshot("photo", layer_data(fundus(seed=seed)))


def test_result_returns_with_an_image_of_the_same_pixels(result: SegmentationResult):
    kept, again = KeptResults(), snapshot()
    kept.keep(result)
    assert kept.targets("photo") == ["disc"]
    (back,) = kept.take(again)
    assert kept.targets("photo") == []
    assert back.request.image is again
    assert back.prepared.shape == result.prepared.shape
    expected = result.prediction.probabilities
    np.testing.assert_allclose(back.prediction.probabilities, expected, atol=1e-3)


def test_result_of_other_pixels_is_dropped(result: SegmentationResult):
    kept = KeptResults()
    kept.keep(result)
    assert list(kept.take(snapshot(seed=1))) == []
    assert kept.targets("photo") == []


def test_oldest_results_are_dropped_when_memory_is_short(
    result: SegmentationResult, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kept_results, "_LIMIT", 1)
    kept = KeptResults()
    kept.keep(result)
    assert kept.targets("photo") == []


def test_discarded_result_is_forgotten(result: SegmentationResult):
    kept = KeptResults()
    kept.keep(result)
    kept.discard(("photo", "disc"))
    assert list(kept.take(snapshot())) == []
