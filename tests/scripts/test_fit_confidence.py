"""Fitting the confidence: degraded copies, the logistic model, and its figures."""

import json
from pathlib import Path

import numpy as np
import pytest

from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from scripts import confidence_fit
from scripts.confidence_fit import (
    auc,
    confidences,
    copies_table,
    cross_validated,
    draw,
    fit,
    good,
)
from scripts.degraded_copies import KINDS, Labelled, degraded


@pytest.fixture(scope="module")
def image() -> Labelled:
    fundus = draw_fundus(3, SyntheticSettings(size=400))
    field = find_field_of_view(fundus.image)
    return Labelled(fundus.image, field, fundus.masks["disc"], fundus.masks["cup"])


@pytest.mark.parametrize("kind", KINDS)
def test_copy_differs_and_is_the_same_for_a_seed(image: Labelled, kind: str) -> None:
    first, again, other = (degraded(image, kind, np.random.default_rng(n)) for n in (1, 1, 2))
    assert first is not None
    assert again is not None
    assert other is not None
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert first.pixels.shape[:2] == first.disc.shape == first.field.mask.shape
    assert first.disc.any()
    assert not np.array_equal(first.pixels, image.pixels)
    assert not np.array_equal(first.pixels, other.pixels)


def test_mirroring_twice_changes_nothing(image: Labelled) -> None:
    twice = image.mirrored().mirrored()
    np.testing.assert_array_equal(twice.pixels, image.pixels)
    assert twice.field.center == image.field.center


@pytest.fixture
def lines() -> list[dict]:
    """Predictions whose Dice coefficient follows from their roundness."""
    rng, made = np.random.default_rng(0), []
    for number in range(120):
        roundness = rng.uniform(0.3, 1)
        made.append(
            {
                "target": "disc",
                "dataset": "x",
                "patient": str(number // 2),
                "copy": "none" if number % 2 else "blur",
                "dice": 0.95 if roundness + rng.normal(0, 0.1) > 0.6 else 0.3,
                "iou": 0.5,
                "signs": {
                    "certainty": rng.random(),
                    "roundness": roundness,
                    "detail": rng.random(),
                },
            }
        )
    made[0]["signs"] = None
    return made


@pytest.mark.shipped
def test_fit_finds_the_sign_that_tells_and_is_calibrated(lines: list[dict]) -> None:
    model = fit(lines, "disc")
    assert model.signs["roundness"].weight > 5 * abs(model.signs["certainty"].weight)
    assert "60 images" in model.fitted_on
    sure, right = cross_validated(lines, "disc"), good(lines)
    assert auc(sure, right) > 0.9
    assert sure.mean() == pytest.approx(right.mean(), abs=0.05)
    assert confidences(model, lines)[0] == 0


def test_auc_counts_pairs_and_halves_ties() -> None:
    right = np.array([True, False, True, False])
    assert auc(np.array([4.0, 3.0, 2.0, 1.0]), right) == 0.75
    assert auc(np.ones(4), right) == 0.5


def test_curve_is_drawn(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confidence_fit, "CURVE", tmp_path / "curve.svg")
    sure = np.linspace(0, 1, 20)
    curves = {
        f"{target}, {part}": (sure, sure > 0.5)
        for target in confidence_fit.TARGETS
        for part in ("validation", "test")
    }
    draw(curves)
    assert "<svg" in (tmp_path / "curve.svg").read_text()


def test_copies_are_counted_by_kind_with_their_mean_dice(tmp_path: Path) -> None:
    found = [("none", 0.9), ("none", 0.7), ("blur", 0.5)]
    about = {"target": "disc", "part": "test"}
    file = tmp_path / "predictions.jsonl"
    file.write_text("\n".join(json.dumps(about | {"copy": c, "dice": d}) for c, d in found))
    assert copies_table(file).splitlines()[2:] == [
        "| disc | test | none | 2 | 0.800 | 50% |",
        "| disc | test | blur | 1 | 0.500 | 100% |",
    ]
