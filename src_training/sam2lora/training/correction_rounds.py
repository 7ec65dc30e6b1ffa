"""Rounds of corrections in training, as SAM trains them: a click where the network itself errs.

After the first prediction, each round compares the network's own prediction with the reference,
clicks in a region that is wrong, and predicts again from all clicks so far and the logits before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sam2lora.losses.composite import LossTerms, composite_loss
from sam2lora.losses.functional import segmentation_bce
from sam2lora.prompts.error_clicks import largest_errors, sample_region
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import LossSettings
from sam2lora.types import Mask

_CANDIDATES = 6  # regions that a click can be in; larger ones are clicked more often
_LARGEST_LOGIT = 32.0  # SAM 2 limits the logits of a previous mask so
_NEIGHBORHOOD = 1 / 32  # radius around a click that counts more, as a share of the window's side


class Round(NamedTuple):
    """The predictions of one round; those of the first are of all samples.

    Attributes
    ----------
    logits
        `(K, 1, S, S)` float32.
    iou
        `(K, 1)` float32: the predicted IoU.
    samples
        `(K,)` int64: index of each prediction's sample.
    clicked
        `(K, 1, S, S)` bool: the neighborhood of the click of this round; all False in the first.
    """

    logits: Tensor
    iou: Tensor
    samples: Tensor
    clicked: Tensor


@dataclass(frozen=True, eq=False)
class Correction:
    """How one training sample is corrected.

    Attributes
    ----------
    mask
        `(S, S)` bool: the reference.
    valid
        `(S, S)` bool: where a user could click.
    rounds
        Rounds after the first prediction; 0 for a sample that is not corrected.
    seed
        What the places of the clicks depend on, besides the predictions.
    """

    mask: Mask
    valid: Mask
    rounds: int
    seed: tuple[int, ...]

    def click(self, logits: Tensor, number: int) -> PointPrompt | None:
        """Return a click where a prediction errs; None if it errs nowhere.

        Parameters
        ----------
        logits
            `(1, S, S)`: the prediction.
        number
            Number of the round, from 1.
        """
        found = largest_errors(
            (logits[0] >= 0).cpu().numpy(), self.mask, _CANDIDATES, valid=self.valid
        )
        if not found:
            return None
        rng = np.random.default_rng((*self.seed, number))
        return sample_region(found, rng).click(rng)


def with_click(prompts: PromptBatch, click: PointPrompt, low_res_logits: Tensor) -> PromptBatch:
    """Add a click to the prompts of one sample, with the prediction that it corrects.

    Parameters
    ----------
    prompts
        A batch of one.
    click
        The click, in network-input pixels.
    low_res_logits
        `(1, S/4, S/4)`: the decoder's own logits; no gradient flows through them.
    """
    points, labels = prompts.points, prompts.labels
    limited = low_res_logits.detach().float().clamp(-_LARGEST_LOGIT, _LARGEST_LOGIT)
    return PromptBatch(
        torch.cat([points, points.new_tensor([[[click.x, click.y]]])], 1),
        torch.cat([labels, labels.new_tensor([[int(click.positive)]])], 1),
        prompts.boxes,
        limited[None],
    )


def neighborhood(click: PointPrompt, size: int, device: torch.device) -> Tensor:
    """Return the pixels around a click that count more: `(1, S, S)` bool."""
    ticks = torch.arange(size, device=device)
    distance = (ticks - click.x) ** 2 + (ticks.view(-1, 1) - click.y) ** 2
    return (distance <= (_NEIGHBORHOOD * size) ** 2)[None]


class RoundsLoss(NamedTuple):
    """The loss of the rounds of one batch.

    Attributes
    ----------
    total
        Scalar: a sample counts once in each of its rounds.
    first
        Loss and terms of the predictions before any correction, detached.
    """

    total: Tensor
    first: LossTerms


def loss_of_rounds(
    rounds: Sequence[Round], target: Tensor, valid: Tensor, settings: LossSettings
) -> RoundsLoss:
    """Compute the composite loss of all rounds; cross-entropy counts once more around a click.

    Parameters
    ----------
    rounds
        The rounds, first that of all B samples.
    target, valid
        `(B, 1, S, S)` bool: the references, and the pixels that count.
    settings
        Settings of the composite loss.
    """
    first, *corrected = rounds
    loss = composite_loss(first.logits, first.iou, target, settings, valid=valid)
    totals = [loss.total]
    for found in corrected:
        reference, counting = target[found.samples], valid[found.samples]
        again = composite_loss(found.logits, found.iou, reference, settings, valid=counting)
        near = segmentation_bce(
            found.logits, reference, valid=found.clicked & counting, reduction=settings.reduction
        )
        share = len(found.samples) / len(target)
        totals.append(share * (again.total + settings.weights.bce * near))
    return RoundsLoss(torch.stack(totals).sum(), LossTerms(loss.total.detach(), loss.terms))
