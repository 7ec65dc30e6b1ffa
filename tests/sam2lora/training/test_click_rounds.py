"""Rounds of clicks: a refiner learns from them, and right samples teach nothing."""

import numpy as np
import pytest
import torch

from sam2lora.models.click_refiner import ClickRefiner
from sam2lora.training.click_rounds import ClickRounds
from sam2lora.training.click_samples import ClickSample

SIZE = 256
CPU = torch.device("cpu")


def sample(*, wrong: bool = True) -> ClickSample:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mask = np.hypot(rows - 120, columns - 60) < 25
    mask |= np.hypot(rows - 120, columns - 200) < 20
    pixels = np.where(mask[..., None], 200, 60).astype(np.uint8).repeat(3, axis=2)
    predicted = mask & (columns < 130) if wrong else mask
    margins = np.where(predicted, 4, -4).astype(np.float32)
    return ClickSample(pixels, mask, np.ones_like(mask), margins)


def batch(*samples: ClickSample) -> ClickRounds:
    return ClickRounds(samples, np.random.default_rng(0))


def test_samples_without_errors_are_left_out() -> None:
    assert len(batch(sample(), sample(wrong=False))) == 1
    assert len(batch(sample(wrong=False))) == 0


def test_untrained_refiner_mends_and_harms_nothing() -> None:
    result = batch(sample()).correct(ClickRefiner().eval(), device=CPU)
    assert (result.honoured, result.mended, result.harm) == (0, 0, 0)
    assert torch.isfinite(result.loss)


def test_refiner_that_learns_honours_its_clicks_without_harm() -> None:
    torch.manual_seed(0)
    refiner = ClickRefiner((8, 8, 8, 8))
    optimizer = torch.optim.AdamW(refiner.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        result = batch(sample(), sample()).correct(refiner, device=CPU)
        optimizer.zero_grad()
        result.loss.backward()
        optimizer.step()
        losses.append(float(result.loss.detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert result.honoured == 1
    assert result.mended > 0.8
    assert result.harm < 0.05


def test_corrected_sample_stays_as_it_is_in_the_next_round() -> None:
    class Perfect(ClickRefiner):
        def propose(self, images, margins, clicks):
            truth = torch.where(images[:, :1] > 0, 4.0, -4.0)
            return truth, torch.ones_like(truth)

    rounds = batch(sample())
    first = rounds.correct(Perfect(), device=CPU)
    assert (first.honoured, first.mended) == (1, 1)
    second = rounds.correct(Perfect(), device=CPU)
    torch.testing.assert_close(second.margins, first.margins)
    assert second.harm == 0


@pytest.mark.parametrize("places", [1, 3])
def test_clicks_of_one_round_are_far_apart(places: int) -> None:
    rounds = batch(sample())
    rounds.correct(ClickRefiner().eval(), device=CPU, places=places)
    (clicks,) = rounds._clicks
    assert len(clicks) == 1  # there is one error
