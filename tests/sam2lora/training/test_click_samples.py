"""Samples of the click refiner: windows with predictions that err."""

import numpy as np
import pytest

from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.inference.corrections import WINDOW_SIZES, encode_margins
from sam2lora.settings import AugmentSettings
from sam2lora.training.click_samples import ClickSamples, PredictedImage

SHAPE = (300, 320)


def image(*, fine: bool) -> PredictedImage:
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    if fine:
        mask = np.abs(rows - 150 - 20 * np.sin(columns / 30)) < 3
    else:
        mask = np.hypot(rows - 150, columns - 160) < 40
    pixels = np.where(mask[..., None], (200, 160, 90), (150, 70, 40)).astype(np.uint8)
    probabilities = np.where(np.roll(mask, 12, axis=1), 0.9, 0.1).astype(np.float32)
    field = field_of_view_from_mask(np.hypot(rows - 150, columns - 160) < 145)
    return PredictedImage(
        pixels, field, mask, encode_margins(probabilities, 0.5), side=140.0, fine=fine
    )


@pytest.fixture(scope="module")
def samples() -> ClickSamples:
    groups = [[lambda: image(fine=True)], [lambda: image(fine=False)]]
    return ClickSamples(groups, AugmentSettings(), seed=3)


@pytest.mark.parametrize("number", [0, 1])
def test_sample_has_the_shapes_of_a_window(samples: ClickSamples, number: int) -> None:
    sample = samples[number]
    side = WINDOW_SIZES["compact" if number else "fine"]
    assert sample.pixels.shape == (side, side, 3)
    for mask in (sample.mask, sample.valid):
        assert (mask.shape, mask.dtype) == ((side, side), bool)
    assert sample.margins.dtype == np.float32
    assert np.isfinite(sample.margins).all()


def test_samples_depend_on_seed_and_index_alone(samples: ClickSamples) -> None:
    for number in (0, 1):
        first, again, other = samples[number], samples[number], samples[number + 2]
        np.testing.assert_array_equal(first.margins, again.margins)
        np.testing.assert_array_equal(first.pixels, again.pixels)
        assert not np.array_equal(first.margins, other.margins)


@pytest.mark.parametrize("number", [0, 1])
def test_predictions_err_in_both_directions_over_the_samples(
    samples: ClickSamples, number: int
) -> None:
    missed = false = 0
    for index in range(number, 12 + number, 2):
        sample = samples[index]
        on = sample.margins >= 0
        missed += int((sample.mask & ~on & sample.valid).sum())
        false += int((~sample.mask & on & sample.valid).sum())
    assert missed > 500
    assert false > 500


def test_unaugmented_prediction_is_moved_with_its_image() -> None:
    plain = ClickSamples([[lambda: image(fine=False)]], AugmentSettings.off(), seed=0)
    for index in range(12):
        sample = plain[index]
        bright = sample.pixels[..., 1] > 115
        assert (bright == sample.mask).mean() > 0.99
