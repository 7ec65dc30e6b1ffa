"""Corrections in training: clicks where a prediction errs, and the prompts that follow."""

import numpy as np
import torch

from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import LossSettings, LossWeights
from sam2lora.training.correction_rounds import (
    Correction,
    Round,
    loss_of_rounds,
    neighborhood,
    with_click,
)


def halves() -> np.ndarray:
    mask = np.zeros((64, 64), dtype=np.bool_)
    mask[:, :32] = True
    return mask


def test_click_is_where_the_prediction_errs_and_the_user_can_click() -> None:
    mask, valid = halves(), np.ones((64, 64), dtype=np.bool_)
    valid[:32] = False
    logits = torch.full((1, 64, 64), -1.0)
    for seed in range(5):
        click = Correction(mask, valid, 3, (seed,)).click(logits, 1)
        assert click is not None
        assert click.positive
        assert click.x < 32 <= click.y


def test_click_depends_on_seed_and_round_alone() -> None:
    correction = Correction(halves(), np.ones((64, 64), dtype=np.bool_), 4, (3, 1))
    logits = torch.full((1, 64, 64), -1.0)
    assert correction.click(logits, 1) == correction.click(logits, 1)
    assert len({correction.click(logits, number) for number in range(1, 5)}) == 4


def test_no_click_where_nothing_is_wrong() -> None:
    mask = halves()
    logits = torch.from_numpy(np.where(mask, 1.0, -1.0))[None]
    assert Correction(mask, np.ones_like(mask), 4, (0,)).click(logits, 1) is None


def test_click_is_added_behind_the_others_with_the_logits_it_corrects() -> None:
    box = PromptBatch.single(points=[[1, 2]], labels=[1], box=[0, 0, 9, 9])
    logits = torch.linspace(-50, 50, 256).view(1, 16, 16).requires_grad_()
    added = with_click(box, PointPrompt(5, 6, positive=False), logits)
    assert added.points.tolist() == [[[1, 2], [5, 6]]]
    assert added.labels.tolist() == [[1, 0]]
    assert added.boxes is box.boxes
    assert added.mask_logits is not None
    assert not added.mask_logits.requires_grad
    assert (added.mask_logits.min(), added.mask_logits.max()) == (-32, 32)


def test_neighborhood_is_a_disk_around_the_click() -> None:
    near = neighborhood(PointPrompt(100, 40), 256, torch.device("cpu"))
    assert near.shape == (1, 256, 256)
    assert near[0, 40, 108]
    assert not near[0, 40, 109]
    assert not near[0, 46, 106]


def rounds_of(*samples: list[int]) -> list[Round]:
    """Return rounds of these samples, whose logits are 0."""
    return [
        Round(
            torch.zeros(len(each), 1, 8, 8),
            torch.zeros(len(each), 1),
            torch.tensor(each),
            torch.full((len(each), 1, 8, 8), number > 0),
        )
        for number, each in enumerate(samples)
    ]


def test_a_sample_counts_once_in_each_of_its_rounds_and_twice_around_its_click() -> None:
    settings = LossSettings(
        weights=LossWeights(bce=2, soft_dice=0, focal_tversky=0, iou=0), reduction="image"
    )
    target = torch.zeros(4, 1, 8, 8, dtype=torch.bool)
    valid = torch.ones_like(target)
    alone = loss_of_rounds(rounds_of([0, 1, 2, 3]), target, valid, settings)
    assert alone.total == alone.first.total
    corrected = loss_of_rounds(rounds_of([0, 1, 2, 3], [1, 3], [3]), target, valid, settings)
    assert corrected.first.total == alone.total
    torch.testing.assert_close(corrected.total, alone.total * (1 + 3 / 4 * 2))
