"""Validation in training: at native size, at the best threshold, inside the field of view."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.datasets import Record
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.predictor import Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.loading import LoadedModel
from sam2lora.training.data_split import plan_data
from sam2lora.training.validation import (
    THRESHOLDS,
    ValidationImage,
    read_validation_images,
    validate,
)

from .helpers import Make

SIDE = 40


def validation_image(name: str, reference: np.ndarray) -> ValidationImage:
    field = np.ones((SIDE, SIDE), bool)
    field[:, :4] = False
    field_of_view = FieldOfView(field, (SIDE / 2, SIDE / 2), float(SIDE))
    pixels = np.full((SIDE, SIDE, 3), len(name), np.uint8)
    return ValidationImage(name, PreparedImage.of(pixels, field=field_of_view), reference, field)


def square(*, at: int = 10) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[at : at + 10, 10:20] = True
    return mask


@pytest.fixture
def predictions(monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """Return a dict to fill with the prediction for each prepared image, by its key."""
    by_key: dict[str, np.ndarray] = {}
    monkeypatch.setattr(
        Predictor,
        "predict",
        lambda _, prepared, geometry, *, inside: Prediction(by_key[prepared.key], iou=1.0),
    )
    return by_key


def test_point_is_scored_by_its_closeness(
    make: Make, pocket: Callable[[], LoadedModel], predictions: dict[str, np.ndarray]
) -> None:
    # Both are found at (14.5, 14.5); a seventh of the field is 40 / 7 pixels.
    first = replace(validation_image("a", square()), point=(14.5, 14.5))
    second = replace(validation_image("bb", square()), point=(14.5, 14.5 + 2))
    for image in (first, second):
        predictions[image.prepared.key] = np.where(square(), 0.4, 0.1).astype(np.float32)
    result = validate(pocket(), [first, second], make(target="disc"), precision="float32", batch=1)
    assert result.per_image == {"a": 1, "bb": pytest.approx(1 - 2 * 7 / 40)}
    assert result.dice == pytest.approx(1 - 7 / 40)
    assert result.threshold == 0.5


def test_threshold_has_the_best_mean_dice(
    make: Make, pocket: Callable[[], LoadedModel], predictions: dict[str, np.ndarray]
) -> None:
    first, second = validation_image("a", square()), validation_image("bb", square(at=25))
    for image, (on, off) in {first: (0.9, 0.1), second: (0.38, 0.31)}.items():
        predictions[image.prepared.key] = np.where(image.reference, on, off).astype(np.float32)
    result = validate(pocket(), [first, second], make(), precision="float32", batch=2)
    assert (result.threshold, result.dice) == (0.35, 1.0)
    assert result.per_image == {"a": 1.0, "bb": 1.0}
    half = predictions[second.prepared.key]
    half[25:30] = 0.0  # half of the target is missed: 2 * 50 / (50 + 100)
    result = validate(pocket(), [first, second], make(), precision="float32", batch=2)
    assert result.per_image == {"a": 1.0, "bb": pytest.approx(2 / 3)}
    assert result.dice == pytest.approx(5 / 6)
    assert result.iou_offset == pytest.approx((1 + 1 / 2) / 2 - 1), "1 was predicted of both"


@pytest.mark.parametrize(("preferred", "chosen"), [(0.5, 0.5), (0.65, 0.65), (0.1, 0.35)])
def test_among_equal_thresholds_the_nearest_to_the_preferred_is_chosen(
    make: Make,
    pocket: Callable[[], LoadedModel],
    predictions: dict[str, np.ndarray],
    preferred: float,
    chosen: float,
) -> None:
    image = validation_image("a", square())
    predictions[image.prepared.key] = np.where(image.reference, 0.9, 0.31).astype(np.float32)
    settings = make()
    result = validate(
        pocket(), [image], settings, precision="float32", batch=2, preferred=preferred
    )
    assert (result.threshold, result.dice) == (chosen, 1.0)


def test_thresholds_are_between_a_fifth_and_four_fifths() -> None:
    assert (THRESHOLDS[0], THRESHOLDS[-1]) == (0.2, 0.8)
    assert 0.5 in THRESHOLDS
    assert list(THRESHOLDS) == sorted(THRESHOLDS)


def test_only_the_field_of_view_is_scored(
    make: Make, pocket: Callable[[], LoadedModel], predictions: dict[str, np.ndarray]
) -> None:
    image = validation_image("a", square())
    wrong_outside = np.where(image.reference, 0.9, 0.1).astype(np.float32)
    predictions[image.prepared.key] = wrong_outside.copy()
    inside = validate(pocket(), [image], make(), precision="float32", batch=2)
    predictions[image.prepared.key][:, :4] = 0.99
    assert validate(pocket(), [image], make(), precision="float32", batch=2) == inside
    assert inside.dice == 1.0
    assert inside.loss == pytest.approx(-math.log(0.9))


def test_certain_but_wrong_prediction_has_finite_loss(
    make: Make, pocket: Callable[[], LoadedModel], predictions: dict[str, np.ndarray]
) -> None:
    image = validation_image("a", square())
    predictions[image.prepared.key] = (~image.reference).astype(np.float32)
    result = validate(pocket(), [image], make(), precision="float32", batch=2)
    assert math.isfinite(result.loss)
    assert result.loss > 10
    # At every threshold, everything but the target is predicted.
    assert result.dice == 0.0


def test_validation_images_are_read_at_native_size(
    make: Make, write_eyes: Callable[..., Path], tmp_path: Path
) -> None:
    root = write_eyes(tmp_path / "eyes", size=150)
    plan = plan_data(make(data=[{"root": str(root)}], validation={"images": 8}))
    images = read_validation_images(plan.validation)
    assert len(images) == 2
    for image, item in zip(images, plan.validation, strict=True):
        record: Record = item.record
        assert image.name == f"eyes/{record.stem}"
        assert image.prepared.shape == image.reference.shape == (150, 150)
        assert np.array_equal(image.reference, record.read_mask("disc"))


def test_preview_shows_the_errors_in_the_first_image(
    make: Make,
    pocket: Callable[[], LoadedModel],
    predictions: dict[str, np.ndarray],
    tmp_path: Path,
) -> None:
    image = validation_image("a", square())
    predictions[image.prepared.key] = np.where(square(at=15), 0.9, 0.1).astype(np.float32)
    picture = tmp_path / "previews" / "000001.png"
    picture.parent.mkdir()
    validate(pocket(), [image], make(), precision="float32", batch=2, preview=picture)
    shown = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    assert shown.shape[:2] == (SIDE, SIDE)
    colors = {tuple(shown[row, 15]) for row in (17, 12, 22)}  # found, missed, and false
    assert len(colors) == 3
    assert tuple(shown[35, 35]) not in colors


def test_validation_scores_the_prediction_without_a_prompt(
    make: Make, pocket: Callable[[], LoadedModel]
) -> None:
    settings = make(multimask_token=True)
    images = read_validation_images(plan_data(settings).validation)
    base = pocket()
    base.network.train()
    result = validate(base, images, settings, precision="float32", batch=2)
    assert not base.network.training
    prediction = Predictor(
        pocket(), device="cpu", precision="float32", multimask_token=True
    ).predict(images[0].prepared, settings.geometry_for("disc"))
    inside, reference = images[0].prepared.field.mask, images[0].reference
    found = prediction.probabilities >= result.threshold
    expected = (
        2
        * (found & reference & inside).sum()
        / ((found & inside).sum() + (reference & inside).sum())
    )
    assert result.dice == pytest.approx(expected)
    likelihood = np.where(reference, prediction.probabilities, 1 - prediction.probabilities)[inside]
    assert result.loss == pytest.approx(-np.log(likelihood).mean(), rel=1e-3)
