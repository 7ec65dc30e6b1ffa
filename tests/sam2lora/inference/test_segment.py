"""Tasks, and segmenting the targets of one image."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sam2lora.adapters import Adapter
from sam2lora.inference.predictor import Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask, segment_prepared
from sam2lora.inference.tta import predict_augmented
from sam2lora.inference.window_predictor import WindowPredictor
from sam2lora.models.loading import random_base
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.targets import TARGETS, Target
from sam2lora.transforms.windows import Window
from sam2lora.transforms.zoom import BoundingBox, crop_around

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


RING = Target(name="ring", label=11, color="#112233", detail="zoom")
DOT = Target(name="dot", label=12, color="#112233", detail="zoom", inside="ring")


def nested(outer: Target = RING, **changes: Any) -> SegmentationTask:
    """Return the task of a target in another one, whose mask holds the likeliest half."""
    task = SegmentationTask.of(DOT, outer=SegmentationTask.of(outer, threshold=0.5))
    return replace(task, **changes)


def test_nothing_of_a_target_is_outside_of_the_one_it_lies_in(
    nano: Predictor, prepared: PreparedImage
) -> None:
    task = nested(threshold=0.01)
    assert task.outer is not None
    ring = segment_prepared(nano, prepared, [task.outer])["ring"]
    results = segment_prepared(nano, prepared, [task])
    assert list(results) == ["dot"]  # the outer one was not asked for
    assert ring.mask.any()
    assert not ring.mask.all()
    assert results["dot"].mask.any()
    assert not (results["dot"].mask & ~ring.mask).any()
    assert (results["dot"].probabilities[~ring.mask] == 0).all()


def test_target_is_looked_for_in_the_crop_around_the_outer_one(
    nano: Predictor, prepared: PreparedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = nested()
    assert task.outer is not None
    ring = segment_prepared(nano, prepared, [task.outer])["ring"].mask
    seen: list[Window] = []
    decode = WindowPredictor.decode

    def watch(self: WindowPredictor, image: PreparedImage, windows: Any, *rest: Any) -> Any:
        seen.extend(windows)
        return decode(self, image, windows, *rest)

    monkeypatch.setattr(WindowPredictor, "decode", watch)
    segment_prepared(nano, prepared, [replace(task, outer=None)])
    whole = seen[0]
    seen.clear()
    segment_prepared(nano, prepared, [task])
    extent = BoundingBox.of(ring)
    assert extent is not None
    assert seen.count(whole) == 1  # for the outer target alone
    assert seen[-1] == crop_around(task.geometry, prepared.field, extent, whole.size)


def test_nothing_is_found_where_the_outer_target_is_not(
    nano: Predictor, prepared: PreparedImage
) -> None:
    outer = SegmentationTask.of(RING, threshold=0.999999)
    result = segment_prepared(nano, prepared, [nested(outer=RING, threshold=0.01)])["dot"]
    empty = segment_prepared(nano, prepared, [replace(nested(threshold=0.01), outer=outer)])["dot"]
    assert result.mask.any()
    assert not empty.mask.any()
    assert empty.iou == 0


def test_point_outside_of_the_outer_target_overrules_it(
    nano: Predictor, prepared: PreparedImage
) -> None:
    task = nested()
    assert task.outer is not None
    ring = segment_prepared(nano, prepared, [task.outer])["ring"].mask
    rows, columns = np.nonzero(prepared.field.mask & ~ring)
    far = Prompts((PointPrompt(float(columns[0]), float(rows[0])),))
    alone = replace(task, prompts=far, outer=None)
    found = segment_prepared(nano, prepared, [replace(task, prompts=far)])["dot"]
    expected = segment_prepared(nano, prepared, [alone])["dot"]
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    rows, columns = np.nonzero(ring)
    middle = len(rows) // 2
    near = Prompts((PointPrompt(float(columns[middle]), float(rows[middle])),))
    found = segment_prepared(nano, prepared, [replace(task, prompts=near, threshold=0.01)])["dot"]
    assert not (found.mask & ~ring).any()


def test_adapter_of_before_looks_as_it_learned_to(nano: Predictor, prepared: PreparedImage) -> None:
    old = GeometrySettings(detail="zoom")
    task = nested(geometry=old)
    alone = nano.predict(prepared, old)
    assert task.outer is not None
    ring = segment_prepared(nano, prepared, [task.outer])["ring"].mask
    found = segment_prepared(nano, prepared, [task])["dot"]
    np.testing.assert_array_equal(found.probabilities, alone.probabilities * ring)


def test_mirror_images_are_averaged_on_request_only(
    nano: Predictor, prepared: PreparedImage
) -> None:
    task = SegmentationTask.of(SPOT)
    plain = segment_prepared(nano, prepared, [task])["spot"]
    mean = segment_prepared(nano, prepared, [replace(task, tta=True)])["spot"]
    expected = predict_augmented(nano, prepared, task.geometry, task.prompts, flips=True)
    np.testing.assert_array_equal(mean.probabilities, expected.probabilities)
    assert np.abs(mean.probabilities - plain.probabilities).max() > 0


def _stand_in(looks: list[BoundingBox | None]) -> Callable[..., Prediction]:
    """Return a prediction of one square, which notes where it was looked for."""

    def predict(_: object, prepared: PreparedImage, *__: object, **how: Any) -> Prediction:
        looks.append(how["inside"])
        probabilities = np.zeros(prepared.shape, np.float32)
        probabilities[20:40, 20:40] = 0.9
        return Prediction(probabilities, 0.8)

    return predict


def test_target_that_another_lies_in_is_predicted_once(
    monkeypatch: pytest.MonkeyPatch, nano: Predictor, prepared: PreparedImage
) -> None:
    looks: list[BoundingBox | None] = []
    monkeypatch.setattr("sam2lora.inference.segment.predict_augmented", _stand_in(looks))
    disc = SegmentationTask.of(TARGETS["disc"], threshold=0.95)
    cup = SegmentationTask.of(TARGETS["cup"], outer=SegmentationTask.of(TARGETS["disc"]))
    found = segment_prepared(nano, prepared, [cup, disc])
    assert list(found) == ["cup", "disc"]
    assert len(looks) == 2
    assert not found["cup"].mask.any()  # in the disc as it was asked for, which is empty


def test_target_is_looked_for_in_one_that_is_known(
    monkeypatch: pytest.MonkeyPatch, nano: Predictor, prepared: PreparedImage
) -> None:
    looks: list[BoundingBox | None] = []
    monkeypatch.setattr("sam2lora.inference.segment.predict_augmented", _stand_in(looks))
    cup = SegmentationTask.of(TARGETS["cup"], outer=SegmentationTask.of(TARGETS["disc"]))
    known = np.zeros(prepared.shape, np.bool_)
    known[30:50, 30:60] = True
    found = segment_prepared(nano, prepared, [cup], known={"disc": known})["cup"]
    assert looks == [BoundingBox(30, 30, 59, 49)]
    assert found.mask[30:40, 30:40].all()
    assert not found.mask[~known].any()
