"""Predictions become convex at every threshold."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import convex_hull_image

from sam2lora.inference.postprocessing import convex_envelope

NOWHERE = np.zeros((0, 2))
THRESHOLDS = (0.1, 0.42, 0.5, 0.51, 0.53, 0.7, 0.88)


def hill(
    center: tuple[float, float] = (40, 32), radius: float = 18, height: float = 4, side: int = 96
) -> np.ndarray:
    """Create logits that fall from a center (x, y) and are 0 at a radius."""
    rows, columns = np.ogrid[:side, :side]
    distance = np.hypot(columns - center[0], rows - center[1])
    return (height * (1 - distance / radius)).clip(-6).astype(np.float32)


def envelope(
    logits: np.ndarray,
    *,
    positive: tuple[tuple[float, float], ...] = (),
    negative: tuple[tuple[float, float], ...] = (),
    valid: np.ndarray | None = None,
    within: np.ndarray | None = None,
) -> np.ndarray:
    everywhere = np.ones(logits.shape, dtype=bool)
    points = (np.array(some, dtype=float).reshape(-1, 2) for some in (positive, negative))
    return convex_envelope(
        logits, *points, valid=everywhere if valid is None else valid, within=within
    )


def cut(logits: np.ndarray, threshold: float) -> np.ndarray:
    return logits >= np.float32(np.log(threshold / (1 - threshold)))


def assert_is_half(prediction: np.ndarray, logits: np.ndarray) -> None:
    """Check that a mask is that of logits at 0.5; rounding decides where they are exactly 0."""
    decided = logits != 0
    np.testing.assert_array_equal(prediction[decided], cut(logits, 0.5)[decided])


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_dents_holes_and_small_components_are_removed_at_each_threshold(threshold: float) -> None:
    whole = hill()
    logits = np.maximum(whole, hill(center=(85, 85), radius=8, height=2))
    logits[31:34, 40:] = -5  # a vessel across the border
    logits[25, 35] = -5
    prediction, expected = cut(envelope(logits), threshold), cut(whole, threshold)
    assert not prediction[70:, 70:].any()
    assert prediction[25, 35] == expected[25, 35]
    assert (prediction ^ expected).sum() < 0.1 * expected.sum() + 4


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_envelope_is_one_convex_component_at_each_threshold(threshold: float) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (96, 96)).astype(np.float32)
    plain, prediction = (
        cut(each, threshold) for each in (hill() + noise, envelope(hill() + noise))
    )
    assert ndimage.label(plain)[1] > 3
    assert ndimage.label(prediction)[1] == 1
    hull = convex_hull_image(prediction, offset_coordinates=False)
    assert (hull & ~prediction).sum() <= 0.04 * prediction.sum() + 3


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_convex_prediction_is_unchanged(threshold: float) -> None:
    prediction, expected = cut(envelope(hill()), threshold), cut(hill(), threshold)
    grown = ndimage.binary_dilation(expected)
    shrunk = ndimage.binary_erosion(expected)
    assert not (prediction & ~grown).any()
    assert not (shrunk & ~prediction).any()


def test_positive_point_selects_the_component() -> None:
    large, small = hill(), hill(center=(80, 80), radius=8, height=2)
    logits = np.maximum(large, small)
    prediction = cut(envelope(logits, positive=((80.0, 80.0),)), 0.5)
    assert_is_half(prediction, small)
    prediction = cut(envelope(logits, positive=((80.0, 80.0), (40.0, 32.0))), 0.5)
    assert not (cut(logits, 0.5) & ~prediction).any()
    assert prediction[58, 62]  # between them


@pytest.mark.parametrize("x", [57.0, 59.0, 75.0, 95.0])
def test_positive_point_outside_the_prediction_removes_nothing(x: float) -> None:
    plain = envelope(hill())
    for threshold in THRESHOLDS:
        prompted = cut(envelope(hill(), positive=((x, 32.0),)), threshold)
        np.testing.assert_array_equal(prompted, cut(plain, threshold))


def test_box_selects_the_component() -> None:
    small = hill(center=(80, 80), radius=8, height=2)
    logits = np.maximum(hill(), small)
    box = np.zeros(logits.shape, dtype=bool)
    box[70:90, 70:90] = True
    assert_is_half(cut(envelope(logits, within=box), 0.5), small)
    nothing = envelope(logits, within=np.zeros_like(box))
    np.testing.assert_array_equal(nothing, envelope(logits))


def test_component_outside_the_field_is_ignored() -> None:
    small = hill(center=(80, 80), radius=8, height=2)
    valid = np.zeros(small.shape, dtype=bool)
    valid[60:, 60:] = True
    prediction = cut(envelope(np.maximum(hill(), small), valid=valid), 0.5) & valid
    assert_is_half(prediction, small)


def test_negative_point_keeps_its_dent() -> None:
    logits = hill()
    logits[31:34, 45:] = -5
    assert cut(envelope(logits), 0.5)[32, 50]
    assert not cut(envelope(logits, negative=((50.0, 32.0),)), 0.5)[32, 50]
    assert cut(envelope(logits, negative=((90.0, 90.0), (500.0, -3.0))), 0.5)[32, 50]


@pytest.mark.parametrize("pixels", [[], [(5, 5)], [(5, 5), (5, 6)], [(5, 5), (6, 6), (7, 7)]])
def test_few_pixels_are_unchanged(pixels: list[tuple[int, int]]) -> None:
    logits = np.full((16, 16), -6, dtype=np.float32)
    for pixel in pixels:
        logits[pixel] = 3
    np.testing.assert_array_equal(cut(envelope(logits), 0.5), cut(logits, 0.5))


@pytest.mark.parametrize("value", [-8.0, 0.0, 9.0])
def test_uniform_prediction_is_all_or_nothing(value: float) -> None:
    logits = np.full((16, 16), value, dtype=np.float32)
    np.testing.assert_array_equal(cut(envelope(logits), 0.5), cut(logits, 0.5))


def test_nan_logits_are_returned_unchanged() -> None:
    logits = hill()
    logits[3, 3] = np.nan
    np.testing.assert_array_equal(envelope(logits), logits)
