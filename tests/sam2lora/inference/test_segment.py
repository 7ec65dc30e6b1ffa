"""Tasks, and segmenting the targets of one image."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sam2lora.adapters import Adapter
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask, segment_prepared
from sam2lora.inference.tta import predict_augmented
from sam2lora.models.loading import random_base
from sam2lora.settings import GeometrySettings
from sam2lora.targets import TARGETS, Target

SPOT = Target(name="spot", label=9, color="#112233", detail="whole")
FOG = Target(name="fog", label=10, color="#445566", detail="zoom")


@pytest.fixture(scope="module")
def nano() -> Predictor:
    return Predictor(random_base("nano"), device="cpu", precision="float32")


@pytest.fixture
def prepared(photo: NDArray[np.uint8]) -> PreparedImage:
    return PreparedImage.of(photo)


def test_task_has_the_defaults_of_its_target() -> None:
    task = SegmentationTask.of(TARGETS["disc"])
    assert task.geometry == GeometrySettings.for_target(TARGETS["disc"])
    assert task.threshold == TARGETS["disc"].threshold
    assert (task.adapter, task.prompts.empty, task.tta) == (None, True, False)


def test_adapter_takes_precedence_over_its_target_and_arguments_over_both(
    make_adapter: Callable[..., Adapter],
) -> None:
    adapter = make_adapter()
    task = SegmentationTask.of(adapter.card.target, adapter=adapter)
    assert (task.geometry, task.threshold) == (adapter.card.geometry, adapter.card.threshold)
    changed = SegmentationTask.of(
        adapter.card.target, adapter=adapter, detail="squash", threshold=0.2
    )
    assert (changed.geometry.detail, changed.threshold) == ("squash", 0.2)


def test_every_target_is_predicted_with_its_own_task(
    nano: Predictor, prepared: PreparedImage
) -> None:
    tasks = [SegmentationTask.of(target) for target in (SPOT, FOG)]
    results = segment_prepared(nano, prepared, tasks)
    assert list(results) == ["spot", "fog"]
    for task, result in zip(tasks, results.values(), strict=True):
        expected = nano.predict(prepared, task.geometry)
        np.testing.assert_array_equal(result.probabilities, expected.probabilities)
        np.testing.assert_array_equal(result.mask, expected.mask(task.threshold))
        assert result.iou == expected.iou


def test_mirror_images_are_averaged_on_request_only(
    nano: Predictor, prepared: PreparedImage
) -> None:
    task = SegmentationTask.of(SPOT)
    plain = segment_prepared(nano, prepared, [task])["spot"]
    mean = segment_prepared(nano, prepared, [replace(task, tta=True)])["spot"]
    expected = predict_augmented(nano, prepared, task.geometry, task.prompts, flips=True)
    np.testing.assert_array_equal(mean.probabilities, expected.probabilities)
    assert np.abs(mean.probabilities - plain.probabilities).max() > 0
