"""Locating a point: the peak of the probabilities, or the place that was clicked."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sam2lora.adapters import Adapter
from sam2lora.datasets.ellipses import Landmark
from sam2lora.errors import AdapterError, GeometryError, TargetError
from sam2lora.inference.pipeline import locate_image, segment_image
from sam2lora.inference.points import PointPrediction, find_peak, locate_prepared
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask
from sam2lora.models.loading import LoadedModel
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.targets import FOVEA


@pytest.fixture
def predictor(base: LoadedModel) -> Predictor:
    return Predictor(base, device="cpu", precision="float32")


def test_peak_is_the_center_of_the_highest_part() -> None:
    probabilities = np.zeros((40, 60), np.float32)
    probabilities[10:15, 30:37] = 0.8
    probabilities[12, 30] = 0.9
    probabilities[30:39, 2:20] = 0.7  # larger, but lower, and apart
    peak = find_peak(probabilities)
    assert (peak.x, peak.y) == pytest.approx((33, 12), abs=0.02)
    assert 0 < peak.confidence < 0.1


def test_confidence_is_high_for_the_form_that_is_learned_alone() -> None:
    shape = (112, 112)
    disk = Landmark(50, 60).draw(shape).astype(np.float32)
    assert find_peak(disk).confidence == pytest.approx(1)
    assert find_peak(0.5 * disk).confidence == pytest.approx(0.5)
    twice = disk + Landmark(90, 20).draw(shape)
    assert find_peak(twice).confidence == pytest.approx(0.5, abs=0.02)
    assert find_peak(np.ones(shape, np.float32)).confidence < 0.01


def test_empty_probabilities_have_a_peak_without_confidence() -> None:
    assert find_peak(np.zeros((5, 7), np.float32)) == PointPrediction(3, 2, 0)


def test_click_sets_the_point_without_the_network(
    predictor: Predictor, photo: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Predictor, "predict", lambda *_, **__: pytest.fail("asked the network"))
    prepared = PreparedImage.of(photo)
    clicks = (PointPrompt(80, 60), PointPrompt(90.5, 70), PointPrompt(20, 80, positive=False))
    task = SegmentationTask.of(FOVEA, prompts=Prompts(clicks))
    assert locate_prepared(predictor, prepared, task) == PointPrediction(90.5, 70, 1)
    outside = SegmentationTask.of(FOVEA, prompts=Prompts((PointPrompt(0, 0),)))
    with pytest.raises(GeometryError):
        locate_prepared(predictor, prepared, outside)


def test_network_looks_at_the_field_and_at_one_crop_of_fixed_size(
    predictor: Predictor, photo: NDArray[np.uint8], make_adapter: Callable[..., Adapter]
) -> None:
    geometry = GeometrySettings.for_target(FOVEA)
    assert (geometry.detail, geometry.zoom_extent, geometry.convex) == ("zoom", None, False)
    adapter = make_adapter("fovea-test", target=FOVEA, geometry=geometry)
    steps: list[tuple[float, int]] = []
    prepared = PreparedImage.of(photo)
    task = SegmentationTask.of(FOVEA, adapter=adapter)
    found = locate_prepared(
        predictor, prepared, task, progress=lambda done, total: steps.append((done, total))
    )
    assert steps[-1] == (4, 4)
    assert prepared.field.mask[round(found.y), round(found.x)]
    assert 0 < found.confidence < 1
    assert locate_image(photo, predictor=predictor, adapter=adapter.folder) == found
    mirrored = locate_prepared(
        predictor, prepared, SegmentationTask.of(FOVEA, adapter=adapter, tta=True)
    )
    assert 0 < mirrored.confidence < 1


def test_masks_and_points_are_asked_for_by_their_own_functions(
    predictor: Predictor, photo: NDArray[np.uint8]
) -> None:
    with pytest.raises(TargetError, match="'fovea' is a point, not a mask: use locate_image"):
        segment_image(photo, ["disc", "fovea"], predictor=predictor)
    with pytest.raises(TargetError, match="'disc' is a mask, not a point: use segment_image"):
        locate_image(photo, "disc", predictor=predictor)


def test_a_point_needs_an_adapter(predictor: Predictor, photo: NDArray[np.uint8]) -> None:
    # The random weights of the test have none; the base alone would show a vessel.
    with pytest.raises(AdapterError, match="no adapter that locates 'fovea'"):
        locate_image(photo, predictor=predictor)
