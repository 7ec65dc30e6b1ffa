"""How sure a prediction is: the signs, and the model that joins them."""

from pathlib import Path

import numpy as np
import pytest

from sam2lora.adapters import default_adapter, list_adapters
from sam2lora.inference import confidence as module
from sam2lora.inference.confidence import (
    DETAIL_SIZE,
    ConfidenceModel,
    Signs,
    SignWeight,
    confidence_model,
    read_confidence,
    signs_of,
)
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask, segment_prepared
from sam2lora.inference.tta import predict_augmented
from sam2lora.models.loading import load_base
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.targets import get_target
from sam2lora.types import Mask

ROWS, COLUMNS = np.ogrid[:128, :128]
DISK: Mask = np.hypot(ROWS - 64, COLUMNS - 64) <= 30
LENS: Mask = np.hypot((ROWS - 64) / 2, COLUMNS - 64) <= 20
EVERYWHERE = np.ones_like(DISK)
GREY = np.full((DETAIL_SIZE, DETAIL_SIZE, 3), 90, np.uint8)


def logits(mask: Mask, height: float = 6.0) -> np.ndarray:
    return np.where(mask, height, -height).astype(np.float32)


def signs(found: np.ndarray, outlined: Mask = DISK, pixels: np.ndarray = GREY) -> Signs:
    return signs_of(found, logits(outlined), valid=EVERYWHERE, pixels=pixels)


def test_certainty_falls_with_doubtful_probabilities_and_with_stray_parts() -> None:
    clear, doubtful = signs(logits(DISK)), signs(logits(DISK, 0.5))
    stray = signs(logits(DISK | (COLUMNS > 110)))
    assert clear.certainty > 0.98
    assert doubtful.certainty < 0.7
    assert stray.certainty < 0.85


def test_roundness_is_the_ratio_of_the_axes() -> None:
    assert signs(logits(DISK)).roundness == pytest.approx(1, abs=0.01)
    assert signs(logits(LENS), LENS).roundness == pytest.approx(0.5, abs=0.02)
    assert signs(logits(~EVERYWHERE), ~EVERYWHERE) == Signs(0.0, 0.0, pytest.approx(-2.3, abs=0.1))


def test_vessels_are_detail_and_what_is_smooth_or_outside_is_none() -> None:
    vessels = GREY.copy()
    vessels[:, ::12] = 40
    outside = np.where((np.arange(DETAIL_SIZE) < 40)[:, None, None], vessels, GREY)
    plain = signs(logits(DISK)).detail
    assert signs(logits(DISK), pixels=vessels).detail > plain + 2
    assert signs(logits(DISK), pixels=outside).detail == pytest.approx(plain, abs=0.01)


def test_model_adds_standardized_signs_to_a_logit() -> None:
    model = ConfidenceModel(
        adapter="x",
        base="0" * 64,
        digest="1" * 64,
        threshold=0.5,
        fitted_on="nothing",
        intercept=1.0,
        signs={"roundness": SignWeight(mean=0.8, scale=0.1, weight=2.0)},
    )
    assert model.confidence(Signs(0, 0.8, 0)) == pytest.approx(1 / (1 + np.exp(-1)))
    assert model.confidence(Signs(0, 0.7, 0)) == pytest.approx(1 / (1 + np.exp(1)))


@pytest.mark.shipped
def test_table_is_of_the_adapters_of_the_package() -> None:
    shipped = {adapter.name: adapter for adapter in list_adapters() if adapter.shipped}
    assert read_confidence().models
    for model in read_confidence().models:
        adapter = shipped[model.adapter]
        assert confidence_model(adapter) == model, "run scripts/fit_confidence.py again"
        assert model.threshold == adapter.card.threshold
    assert confidence_model(shipped["nano-vessel"]) is None
    assert confidence_model(None) is None


@pytest.mark.shipped
def test_adapter_that_nothing_was_fitted_to_has_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = default_adapter(load_base("nano").weights_sha256, get_target("disc"))
    assert adapter is not None
    monkeypatch.setattr(type(adapter), "digest", lambda self: "0" * 64)
    assert confidence_model(adapter) is None


@pytest.fixture(scope="module")
def task() -> SegmentationTask:
    target = get_target("disc")
    adapter = default_adapter(load_base("nano").weights_sha256, target)
    return SegmentationTask.of(target, adapter=adapter)


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(load_base("nano"), device="cpu", precision="float32")


@pytest.mark.shipped
def test_hidden_disc_is_doubtful_and_a_clear_one_is_not(
    predictor: Predictor, task: SegmentationTask
) -> None:
    fundus = draw_fundus(5000, SyntheticSettings(size=700))
    rows, columns = (np.flatnonzero(fundus.masks["disc"].any(axis=axis)) for axis in (1, 0))
    hidden = fundus.image.copy()
    hidden[rows[0] - 9 : rows[-1] + 9, columns[0] - 9 : columns[-1] + 9] = (110, 50, 20)
    clear, doubtful = (
        segment_prepared(predictor, PreparedImage.of(image), [task])["disc"].confidence
        for image in (fundus.image, hidden)
    )
    assert clear is not None
    assert doubtful is not None
    assert clear > 0.8
    assert doubtful < 0.5


@pytest.mark.shipped
def test_prompts_leave_no_confidence_and_mirror_images_average_it(
    predictor: Predictor, task: SegmentationTask
) -> None:
    prepared = PreparedImage.of(draw_fundus(5000, SyntheticSettings(size=400)).image)
    predictor.set_adapter(task.adapter)
    plain = predictor.predict(prepared, task.geometry)
    mirrored = predict_augmented(predictor, prepared, task.geometry, Prompts(), flips=True)
    assert plain.confidence is not None
    assert mirrored.confidence is not None
    assert 0 <= mirrored.confidence <= 1
    point = Prompts((PointPrompt(200, 200),))
    assert predictor.predict(prepared, task.geometry, point).confidence is None
    predictor.set_adapter(None)
    assert predictor.confidence_model is None


def test_table_is_in_the_package() -> None:
    assert module.confidence_path().parent == Path(module.__file__).parents[1] / "assets"
    assert "scripts/fit_confidence.py" in read_confidence().about
