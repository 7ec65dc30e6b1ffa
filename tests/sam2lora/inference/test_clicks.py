"""Predictions with clicks: an automatic prediction, then corrections in their order."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.inference import segment as segmentation
from sam2lora.inference.embedding_cache import ByteLru
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import (
    SegmentationTask,
    TargetPrediction,
    segment_prepared,
)
from sam2lora.models.loading import random_base
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.targets import get_target

WHOLE = GeometrySettings()


@pytest.fixture(scope="module")
def nano() -> Predictor:
    return Predictor(random_base("nano"), device="cpu", precision="float32")


@pytest.fixture
def prepared(photo: NDArray[np.uint8]) -> PreparedImage:
    return PreparedImage.of(photo)


def segment(nano: Predictor, prepared: PreparedImage, prompts: Prompts) -> TargetPrediction:
    task = SegmentationTask(get_target("disc"), WHOLE, 0.5, prompts=prompts)
    return segment_prepared(nano, prepared, [task])["disc"]


def predict(nano: Predictor, prepared: PreparedImage, *points: PointPrompt) -> TargetPrediction:
    box = (0.0, 0.0, float(prepared.shape[1] - 1), float(prepared.shape[0] - 1))
    return segment(nano, prepared, Prompts(points, box))


def inside(prepared: PreparedImage, share: float) -> tuple[float, float]:
    """Return the pixel (x, y) at a share of the way through the field of view."""
    rows, columns = np.nonzero(prepared.field.mask)
    index = int(share * (len(rows) - 1))
    return float(columns[index]), float(rows[index])


def count_corrections(nano: Predictor, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that gets the number of clicks of each correction that is computed."""
    made: list[int] = []
    correct = nano.corrector.correct

    def counted(*args, **options):
        made.append(len(args[2]))
        return correct(*args, **options)

    monkeypatch.setattr(nano.corrector, "correct", counted)
    return made


def record_starts(monkeypatch: pytest.MonkeyPatch) -> list[Prompts]:
    """Return a list that gets the prompts of each prediction that is to be corrected."""
    given: list[Prompts] = []
    original = segmentation._predict_start

    def recorded(predictor, image, task, known, progress):
        given.append(task.prompts)
        return original(predictor, image, task, known, progress)

    monkeypatch.setattr(segmentation, "_predict_start", recorded)
    return given


def test_every_click_is_honoured_with_the_last_one_on_a_pixel(
    nano: Predictor, prepared: PreparedImage
) -> None:
    first, second = inside(prepared, 0.3), inside(prepared, 0.7)
    points = (PointPrompt(*first), PointPrompt(*second, positive=False), PointPrompt(*second))
    found = predict(nano, prepared, *points).mask
    assert found[int(first[1]), int(first[0])]
    assert found[int(second[1]), int(second[0])]


def test_taking_a_click_back_restores_the_prediction_bit_by_bit(
    nano: Predictor, prepared: PreparedImage
) -> None:
    point = PointPrompt(*inside(prepared, 0.5), positive=False)
    before = predict(nano, prepared).probabilities.copy()
    changed = predict(nano, prepared, point).probabilities
    assert not np.array_equal(changed, before)
    np.testing.assert_array_equal(predict(nano, prepared).probabilities, before)


def test_further_click_costs_one_correction(
    nano: Predictor, prepared: PreparedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [PointPrompt(*inside(prepared, share)) for share in (0.2, 0.4, 0.6)]
    predict(nano, prepared, *points[:2])
    made = count_corrections(nano, monkeypatch)
    first = predict(nano, prepared, *points)
    assert made == [3]
    again = predict(nano, prepared, *points)
    assert made == [3]
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


def test_cache_that_holds_few_steps_still_makes_a_further_click_one_correction(
    nano: Predictor, prepared: PreparedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = prepared.shape[0] * prepared.shape[1] * 4
    monkeypatch.setattr(nano, "corrected", ByteLru(2 * size))
    points = [PointPrompt(*inside(prepared, share)) for share in (0.2, 0.35, 0.5, 0.65, 0.8)]
    made = count_corrections(nano, monkeypatch)
    found = [predict(nano, prepared, *points[:count]) for count in range(1, 6)]
    assert made == [1, 2, 3, 4, 5]
    taken_back = predict(nano, prepared, *points[:2])
    np.testing.assert_array_equal(taken_back.probabilities, found[1].probabilities)


def test_clicks_depend_on_the_field_of_view(nano: Predictor, photo: NDArray[np.uint8]) -> None:
    whole = PreparedImage.of(photo)
    rows, columns = np.ogrid[: whole.shape[0], : whole.shape[1]]
    x, y = whole.field.center
    disk = np.hypot(columns - x, rows - y) <= 0.3 * whole.field.diameter
    narrow = PreparedImage.of(photo, field=field_of_view_from_mask(disk))
    click = PointPrompt(round(x), round(y))
    found = [segment(nano, each, Prompts((click,))).mask for each in (whole, narrow)]
    assert not (found[1] & ~narrow.field.mask).any()
    assert whole.key != narrow.key


@pytest.mark.parametrize("first", [0, 1])
def test_first_point_on_the_target_is_always_a_prompt_of_sam2(
    nano: Predictor, prepared: PreparedImage, monkeypatch: pytest.MonkeyPatch, first: int
) -> None:
    given = record_starts(monkeypatch)
    points = [PointPrompt(*inside(prepared, share)) for share in (0.22, 0.62)]
    points[1 - first] = replace(points[1 - first], positive=False)
    segment(nano, prepared, Prompts(tuple(points)))
    assert given[0].points == tuple(points[: first + 1])


def test_first_point_without_adapter_is_a_prompt_of_sam2(
    nano: Predictor, prepared: PreparedImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = record_starts(monkeypatch)
    points = tuple(PointPrompt(*inside(prepared, share)) for share in (0.25, 0.65))
    segment(nano, prepared, Prompts(points))
    segment(nano, prepared, Prompts((*points, PointPrompt(*inside(prepared, 0.8)))))
    assert [prompts.points for prompts in given] == [points[:1]]  # predicted once


def test_clicks_with_a_painted_mask_start_at_what_is_painted(
    nano: Predictor, prepared: PreparedImage
) -> None:
    painted = np.zeros(prepared.shape, np.bool_)
    x, y = map(int, prepared.field.center)
    painted[y - 8 : y + 8, x - 8 : x + 8] = True
    painted &= prepared.field.mask
    kept = segment(nano, prepared, Prompts((PointPrompt(x, y),), mask=painted)).mask
    np.testing.assert_array_equal(kept, painted)  # what is right already stays
    off = segment(nano, prepared, Prompts((PointPrompt(x, y, positive=False),), mask=painted)).mask
    assert not off[y, x]
    assert not (off & ~painted).any()


def test_click_outside_the_field_of_view_is_refused(
    nano: Predictor, prepared: PreparedImage
) -> None:
    with pytest.raises(GeometryError, match="outside the image"):
        predict(nano, prepared, PointPrompt(-5, 3))
