"""Losses of a mask and its predicted IoU, one function per term.

All take logits `(B, 1, H, W)`, a target of the same shape (bool, or float in 0…1) and optionally
`valid` of the same shape (bool). Pixels outside `valid` have no influence on a loss or a gradient,
whatever their values; the loss of an image without valid pixels is exactly 0. Half-precision input
is computed in float32.

`reduction="image"` computes a loss for each image and takes their mean over all B; an image without
valid pixels counts as 0, so that the mean over equal micro-batches is the loss of the whole batch.
`reduction="batch"` sums over the pixels of all images first, as if they were one image.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sam2lora.errors import GeometryError

Reduction = Literal["image", "batch"]

_SUMMED = {"image": (1, 2, 3), "batch": (0, 1, 2, 3)}
_LINEAR_BELOW = 1e-6


def segmentation_bce(
    logits: Tensor,
    target: Tensor,
    *,
    valid: Tensor | None = None,
    reduction: Reduction = "image",
) -> Tensor:
    """Compute the mean binary cross-entropy of the valid pixels.

    It is computed from logits, so that a missed pixel has its full gradient however confident the
    network is: at logit −20 it is −1/N, not 0.

    Raises
    ------
    GeometryError
        If the shapes do not match.
    """
    logits, target, weight = _prepare(logits, target, valid)
    pixel_loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    total, count = (_sums(values, reduction) for values in (pixel_loss * weight, weight))
    return (total / count.clamp(min=1)).mean()


def soft_dice(
    logits: Tensor,
    target: Tensor,
    *,
    valid: Tensor | None = None,
    reduction: Reduction = "image",
    smooth: float = 1.0,
) -> Tensor:
    """Compute the soft Dice loss, `1 − (2·Σpy + s) / (Σp + Σy + s)` with p = sigmoid(logits).

    `smooth` (s) is above 0, in pixels; it makes the loss of an empty prediction 0 where the target
    is empty.

    Raises
    ------
    GeometryError
        If the shapes do not match.

    References
    ----------
    Milletari, Navab, Ahmadi: "V-Net", 3DV 2016, arXiv 1606.04797 (there with squares in the
    denominator; this is the form of SAM2LoRA, arXiv 2510.10288).
    """
    tp, fp, fn = _soft_counts(logits, target, valid, reduction)
    # The difference from 1 is taken algebraically, which is exact where the loss is near 0.
    return ((fp + fn) / (2 * tp + fp + fn + smooth)).mean()


def focal_tversky(
    logits: Tensor,
    target: Tensor,
    *,
    valid: Tensor | None = None,
    reduction: Reduction = "image",
    alpha: float = 0.7,
    beta: float = 0.3,
    gamma: float = 0.75,
    smooth: float = 1.0,
) -> Tensor:
    """Compute `(1 − TI)^gamma`, `TI = (TP + s) / (TP + alpha·FN + beta·FP + s)`, of soft counts.

    `alpha` weighs false negatives and `beta` false positives; `smooth` (s) is above 0. For gamma
    below 1 the slope at a perfect prediction is infinite, so below 1 − TI = 1e-6 the curve is
    continued as a line to 0.

    Raises
    ------
    GeometryError
        If the shapes do not match.

    References
    ----------
    Abraham, Khan: "A novel focal Tversky loss function with improved attention U-Net for lesion
    segmentation", ISBI 2019, arXiv 1810.07842; their exponent 1/γ is `gamma` here.
    """
    tp, fp, fn = _soft_counts(logits, target, valid, reduction)
    errors = alpha * fn + beta * fp
    distance = errors / (tp + errors + smooth)  # 1 − TI
    return (distance * distance.clamp(min=_LINEAR_BELOW) ** (gamma - 1)).mean()


def iou_score_loss(
    predicted_iou: Tensor,
    logits: Tensor,
    target: Tensor,
    *,
    valid: Tensor | None = None,
    threshold: float = 0.5,
) -> Tensor:
    """Compute the mean over images of |predicted IoU − IoU of the thresholded mask|.

    Only `predicted_iou`, `(B,)` or `(B, 1)`, receives a gradient. Each image has one predicted IoU,
    so there is no reduction to choose. The IoU of two empty masks is 1; the loss of an image
    without valid pixels is 0.

    Raises
    ------
    GeometryError
        If the shapes do not match.

    References
    ----------
    Kirillov et al.: "Segment Anything", ICCV 2023, arXiv 2304.02643 (there the squared error); the
    absolute error is that of SAM 2, arXiv 2408.00714, and SAM2LoRA, arXiv 2510.10288.
    """
    if predicted_iou.numel() != logits.shape[0]:
        raise GeometryError(
            f"Each of the {logits.shape[0]} images needs one predicted IoU, not "
            f"{tuple(predicted_iou.shape)}."
        )
    with torch.no_grad():
        logits, target, weight = _prepare(logits, target, valid)
        mask = (torch.sigmoid(logits) >= threshold) * weight
        reference = (target >= 0.5) * weight
        intersection = _sums(mask * reference, "image")
        union = _sums(mask + reference, "image") - intersection
        iou = torch.where(union > 0, intersection / union.clamp(min=1), 1)
        has_valid = _sums(weight, "image") > 0
    predicted = torch.where(has_valid, _widen(predicted_iou).reshape(-1), iou)
    return (predicted - iou).abs().mean()


def soft_cldice(
    logits: Tensor,
    target: Tensor,
    *,
    valid: Tensor | None = None,
    reduction: Reduction = "image",
    iterations: int = 10,
    smooth: float = 1.0,
) -> Tensor:
    """Compute 1 − soft clDice: the share of each soft skeleton that lies in the other mask.

    With S(·) the soft skeleton, precision `(Σ S(p)·y + s) / (Σ S(p) + s)` and sensitivity
    `(Σ S(y)·p + s) / (Σ S(y) + s)`, it is 1 minus their harmonic mean. Pixels that are not valid
    are background in both.

    Raises
    ------
    GeometryError
        If the shapes do not match.

    References
    ----------
    Shit et al.: "clDice – a novel topology-preserving loss function for tubular structure
    segmentation", CVPR 2021, arXiv 2003.07311.
    """
    logits, target, weight = _prepare(logits, target, valid)
    prediction = torch.sigmoid(logits) * weight
    precision, sensitivity = (
        (_sums(skeleton * other, reduction) + smooth) / (_sums(skeleton, reduction) + smooth)
        for skeleton, other in (
            (soft_skeleton(prediction, iterations), target),
            (soft_skeleton(target, iterations), prediction),
        )
    )
    return (1 - 2 * precision * sensitivity / (precision + sensitivity)).mean()


def soft_skeleton(values: Tensor, iterations: int) -> Tensor:
    """Thin `(B, 1, H, W)` values in 0…1 to their center lines, differentiably.

    The skeleton is what an opening removes after each of `iterations` erosions; structures of a
    larger radius than that are not thinned to their center. Erosion is by a cross, dilation by a
    square (Shit et al. 2021, algorithm 1).
    """
    skeleton = F.relu(values - _open(values))
    for _ in range(iterations):
        values = _erode(values)
        ridge = F.relu(values - _open(values))
        skeleton = skeleton + ridge * (1 - skeleton)
    return skeleton


def _prepare(logits: Tensor, target: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, target and weights (1 valid, 0 not) as floats; all are 0 where not valid."""
    if logits.ndim != 4 or logits.shape[1] != 1 or target.shape != logits.shape:
        raise GeometryError(
            f"Logits and target must both be (B, 1, H, W), not {tuple(logits.shape)} and "
            f"{tuple(target.shape)}."
        )
    if valid is not None and (valid.shape != logits.shape or valid.dtype != torch.bool):
        raise GeometryError(
            f"The valid mask must be bool of shape {tuple(logits.shape)} like the logits, not "
            f"{valid.dtype} of shape {tuple(valid.shape)}."
        )
    logits = _widen(logits)
    target = target.to(logits.dtype)
    if valid is None:
        return logits, target, torch.ones_like(logits)
    # Selected, not multiplied: 0 · NaN is NaN, and so is its gradient.
    return torch.where(valid, logits, 0), torch.where(valid, target, 0), valid.to(logits.dtype)


def _widen(values: Tensor) -> Tensor:
    """Convert half-precision values to float32; others stay as they are."""
    return values if values.dtype == torch.float64 else values.float()


def _sums(values: Tensor, reduction: Reduction) -> Tensor:
    """Sum `(B, 1, H, W)` to `(B,)`, per image, or to `(1,)`, over the batch."""
    return values.sum(dim=_SUMMED[reduction]).reshape(-1)


def _soft_counts(
    logits: Tensor, target: Tensor, valid: Tensor | None, reduction: Reduction
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the soft counts of true positives, false positives and false negatives."""
    logits, target, weight = _prepare(logits, target, valid)
    prediction = torch.sigmoid(logits) * weight
    hits = prediction * target
    maps = (hits, prediction - hits, target - hits)
    tp, fp, fn = (_sums(values, reduction) for values in maps)
    return tp, fp, fn


def _erode(values: Tensor) -> Tensor:
    rows = F.max_pool2d(-values, (3, 1), stride=1, padding=(1, 0))
    columns = F.max_pool2d(-values, (1, 3), stride=1, padding=(0, 1))
    return -torch.maximum(rows, columns)


def _open(values: Tensor) -> Tensor:
    return F.max_pool2d(_erode(values), 3, stride=1, padding=1)
