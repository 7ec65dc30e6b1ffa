"""The composite loss: the weighted sum of the terms in `losses.functional`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from sam2lora.losses.functional import (
    focal_tversky,
    iou_score_loss,
    segmentation_bce,
    soft_cldice,
    soft_dice,
)
from sam2lora.settings import LossSettings


@dataclass(frozen=True, eq=False)
class LossTerms:
    """Result of `composite_loss`.

    Attributes
    ----------
    total
        Scalar; the weighted sum, to call `backward` on.
    terms
        Name to scalar, unweighted and detached; terms of weight 0 are not computed.
    """

    total: Tensor
    terms: dict[str, Tensor]


Term = Callable[[Tensor, Tensor, Tensor, Tensor | None, LossSettings], Tensor]

LOSSES: Mapping[str, Term] = MappingProxyType(
    {
        "bce": lambda logits, iou, target, valid, settings: segmentation_bce(
            logits, target, valid=valid, reduction=settings.reduction
        ),
        "soft_dice": lambda logits, iou, target, valid, settings: soft_dice(
            logits, target, valid=valid, reduction=settings.reduction, smooth=settings.smooth
        ),
        "focal_tversky": lambda logits, iou, target, valid, settings: focal_tversky(
            logits,
            target,
            valid=valid,
            reduction=settings.reduction,
            alpha=settings.tversky_alpha,
            beta=settings.tversky_beta,
            gamma=settings.tversky_gamma,
            smooth=settings.smooth,
        ),
        "iou": lambda logits, iou, target, valid, settings: iou_score_loss(
            iou, logits, target, valid=valid, threshold=settings.threshold
        ),
        "cldice": lambda logits, iou, target, valid, settings: soft_cldice(
            logits,
            target,
            valid=valid,
            reduction=settings.reduction,
            iterations=settings.cldice_iterations,
            smooth=settings.smooth,
        ),
    }
)
"""Each term by the name of its weight in `LossWeights`."""


def composite_loss(
    logits: Tensor,
    iou: Tensor,
    target: Tensor,
    settings: LossSettings,
    *,
    valid: Tensor | None = None,
) -> LossTerms:
    """Compute the weighted sum of the terms whose weight is not 0.

    Parameters
    ----------
    logits
        `(B, 1, H, W)`.
    iou
        `(B,)` or `(B, 1)`, the predicted IoU of the masks.
    target
        `(B, 1, H, W)` bool, or float in 0…1.
    settings
        The weights, the reduction and the parameters of each term.
    valid
        `(B, 1, H, W)` bool: the pixels that count; None: all of them.

    Raises
    ------
    GeometryError
        If the shapes do not match.

    References
    ----------
    Mandal, Karthikeyan, Paldhe: "SAM2LoRA", arXiv 2510.10288.
    """
    weights = {name: weight for name, weight in settings.weights if weight}
    terms = {name: LOSSES[name](logits, iou, target, valid, settings) for name in weights}
    total = torch.stack([weights[name] * terms[name] for name in terms]).sum()
    return LossTerms(total, {name: term.detach() for name, term in terms.items()})
