"""Losses: values worked out by hand, gradients, invalid pixels, and extreme values."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sam2lora.errors import GeometryError
from sam2lora.losses.functional import (
    focal_tversky,
    iou_score_loss,
    segmentation_bce,
    soft_cldice,
    soft_dice,
    soft_skeleton,
)

Loss = Callable[..., Tensor]

MASK_LOSSES = [segmentation_bce, soft_dice, focal_tversky, soft_cldice]


def image(rows: list[list[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)[None, None]  # (1, 1, H, W)


def random_batch(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Return random logits, target and valid mask, with a border of certain background."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64)
    target = torch.rand(shape, generator=generator) < 0.4
    valid = torch.rand(shape, generator=generator) < 0.7
    inside = torch.zeros(shape, dtype=torch.bool)
    inside[..., 1:-1, 1:-1] = True
    return torch.where(inside, logits, -100.0), target & inside, valid


P = image([[0.8, 0.4], [0.1, 0.6]])
LOGITS = torch.logit(P)
TARGET = image([[1, 1], [0, 0]])


def test_values_worked_out_by_hand() -> None:
    # -(ln 0.8 + ln 0.4 + ln 0.9 + ln 0.4) / 4; TP = 1.2, FP = 0.7, FN = 0.8
    assert segmentation_bce(LOGITS, TARGET).item() == pytest.approx(0.5402716)
    assert soft_dice(LOGITS, TARGET).item() == pytest.approx(1 - 3.4 / 4.9)
    assert focal_tversky(LOGITS, TARGET).item() == pytest.approx((1 - 2.2 / 2.97) ** 0.75)
    # the mask is [[1, 0], [0, 1]], so the intersection is one pixel of three
    score = torch.tensor([0.5])
    assert iou_score_loss(score, LOGITS, TARGET).item() == pytest.approx(0.5 - 1 / 3)
    # at 0.4 it is [[1, 1], [0, 1]]: two of three
    assert iou_score_loss(score, LOGITS, TARGET, threshold=0.4).item() == pytest.approx(1 / 6)


def test_parameters_have_their_documented_effect() -> None:
    assert soft_dice(LOGITS, TARGET, smooth=2).item() == pytest.approx(1 - 4.4 / 5.9)
    found = focal_tversky(LOGITS, TARGET, alpha=0.2, beta=0.5, gamma=2, smooth=3)
    assert found.item() == pytest.approx((1 - 4.2 / (1.2 + 0.16 + 0.35 + 3)) ** 2)


def test_cldice_counts_center_lines() -> None:
    target = torch.zeros(1, 1, 7, 9, dtype=torch.bool)
    target[..., 3, 2:7] = True  # a line of 5 pixels
    logits = torch.full(target.shape, -100.0)
    logits[..., 3, 2:5] = 100.0  # 3 of which are found: precision 4/4, sensitivity 4/6
    assert soft_cldice(logits, target).item() == pytest.approx(0.2)


def test_skeleton_of_a_bar_is_its_middle() -> None:
    bar = torch.zeros(1, 1, 11, 20)
    bar[..., 3:8, 3:17] = 1
    middle = torch.zeros_like(bar)
    middle[..., 5, 5:15] = 1
    assert (soft_skeleton(bar, 3) * middle).sum() == 10
    assert soft_skeleton(bar, 3)[..., 3:8, 8:12].sum() == 4  # away from the ends nothing else
    assert soft_skeleton(bar, 1)[..., 3:8, 8:12].sum() == 0  # too few steps for its radius


def test_monai_agrees() -> None:
    from monai.losses import DiceLoss, TverskyLoss
    from monai.losses.cldice import soft_skel

    logits, target, _ = random_batch(3, 1, 9, 8)
    for reduction, batch in (("image", False), ("batch", True)):
        dice = DiceLoss(sigmoid=True, smooth_nr=1, smooth_dr=1, batch=batch)
        tversky = TverskyLoss(
            sigmoid=True, alpha=0.3, beta=0.7, smooth_nr=1, smooth_dr=1, batch=batch
        )
        reference = target.to(logits.dtype)
        torch.testing.assert_close(
            soft_dice(logits, target, reduction=reduction), dice(logits, reference)
        )
        torch.testing.assert_close(
            focal_tversky(logits, target, reduction=reduction, gamma=1), tversky(logits, reference)
        )
    values = logits.sigmoid()
    torch.testing.assert_close(soft_skeleton(values, 4), soft_skel(values, 4))


@pytest.mark.parametrize("reduction", ["image", "batch"])
@pytest.mark.parametrize("loss", MASK_LOSSES)
def test_gradients_are_those_of_finite_differences(loss: Loss, reduction: str) -> None:
    _, target, valid = random_batch(2, 1, 5, 6)
    # all different: where pixels tie, a soft skeleton has a kink and no gradient to compare with
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(target.shape, generator=generator, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: loss(values, target, valid=valid, reduction=reduction),
        logits,
        fast_mode=True,
    )


def test_iou_loss_has_a_gradient_for_the_score_only() -> None:
    logits, target, valid = random_batch(2, 1, 5, 6)
    logits.requires_grad_()
    score = torch.tensor([[0.2], [0.9]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda values: iou_score_loss(values, logits, target, valid=valid), score
    )
    iou_score_loss(score, logits, target, valid=valid).backward()
    assert logits.grad is None
    assert score.grad.abs().sum() == 1


def test_missed_pixel_has_its_full_gradient_at_any_logit() -> None:
    for logit in (-5.0, -20.0, -100.0):
        logits = torch.full((1, 1, 4, 5), logit, requires_grad=True)
        segmentation_bce(logits, torch.ones(1, 1, 4, 5)).backward()
        torch.testing.assert_close(logits.grad, torch.full_like(logits, -1 / 20), rtol=0.01, atol=0)


@pytest.mark.parametrize("reduction", ["image", "batch"])
@pytest.mark.parametrize("loss", MASK_LOSSES)
def test_invalid_pixels_change_no_loss_or_gradient(loss: Loss, reduction: str) -> None:
    logits, target, valid = random_batch(2, 1, 8, 9)
    before = loss(logits, target, valid=valid, reduction=reduction)
    assert before != loss(logits, target, reduction=reduction)
    for garbage in (7.0, -100.0, float("inf"), float("nan")):
        changed = torch.where(valid, logits, garbage).requires_grad_()
        reference = torch.where(valid, target.double(), garbage)
        after = loss(changed, reference, valid=valid, reduction=reduction)
        assert after == before
        after.backward()
        assert changed.grad.isfinite().all()
        assert not changed.grad[~valid].any()
        assert changed.grad[valid].any()


def test_iou_loss_counts_valid_pixels_only() -> None:
    valid = torch.tensor([[True, True], [True, False]])[None, None]
    perfect = torch.tensor([1.0])
    logits = torch.where(valid, TARGET * 10 - 5, 50.0)
    assert iou_score_loss(perfect, logits, TARGET, valid=valid) == 0
    assert iou_score_loss(perfect, logits, TARGET) == pytest.approx(1 / 3)


@pytest.mark.parametrize("loss", MASK_LOSSES)
def test_an_image_with_nothing_valid_costs_nothing(loss: Loss) -> None:
    logits, target, _ = random_batch(2, 1, 6, 6)
    logits.requires_grad_()
    for reduction in ("image", "batch"):
        nothing = loss(logits, target, valid=torch.zeros_like(target), reduction=reduction)
        assert nothing.item() == 0
        (gradient,) = torch.autograd.grad(nothing, logits)
        assert gradient.isfinite().all()
        assert not gradient.any()
    first_only = torch.zeros_like(target)
    first_only[0] = True
    alone = loss(logits[:1], target[:1])
    assert loss(logits, target, valid=first_only).item() == pytest.approx(alone.item() / 2)
    both = loss(logits, target, valid=first_only, reduction="batch")
    assert both.item() == pytest.approx(alone.item())


def test_iou_loss_of_empty_masks_and_of_no_valid_pixels() -> None:
    empty = torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    logits = torch.full((2, 1, 4, 4), -9.0)
    score = torch.tensor([1.0, 0.3], requires_grad=True)
    assert iou_score_loss(score, logits, empty).item() == pytest.approx(0.35)  # (0 + 0.7) / 2
    nothing = iou_score_loss(score, logits, empty, valid=empty)
    nothing.backward()
    assert nothing == 0
    assert not score.grad.any()


@pytest.mark.parametrize("loss", MASK_LOSSES)
def test_reductions_are_mean_of_images_and_one_large_image(loss: Loss) -> None:
    logits, target, valid = random_batch(3, 1, 8, 9)
    target[0] &= target[0].cumsum(-1) < 2  # little in the first image
    valid[1, :, :4] = False
    alone = [loss(logits[[i]], target[[i]], valid=valid[[i]]) for i in range(3)]
    as_one = (torch.cat(list(each), dim=-1)[None] for each in (logits, target, valid))
    side_by_side, target_too, valid_too = as_one
    per_image = loss(logits, target, valid=valid)
    per_batch = loss(logits, target, valid=valid, reduction="batch")
    torch.testing.assert_close(per_image, torch.stack(alone).mean())
    torch.testing.assert_close(per_batch, loss(side_by_side, target_too, valid=valid_too))
    assert abs(per_image - per_batch) > 1e-3


def test_one_image_has_no_influence_on_another() -> None:
    logits, target, _ = random_batch(2, 1, 6, 6)
    logits.requires_grad_()
    for loss in MASK_LOSSES:
        (before,) = torch.autograd.grad(loss(logits, target), logits)
        changed = logits.detach().clone()
        changed[0, :, 2:4, 2:4] += 1
        changed.requires_grad_()
        (after,) = torch.autograd.grad(loss(changed, target), changed)
        assert torch.equal(before[1], after[1])
        assert not torch.equal(before[0], after[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("logit", [-100.0, 0.0, 100.0])
@pytest.mark.parametrize("loss", MASK_LOSSES)
def test_extreme_logits_stay_finite(loss: Loss, logit: float, dtype: torch.dtype) -> None:
    striped = torch.zeros(1, 1, 8, 8)
    striped[..., ::3] = 1
    for target in (torch.zeros_like(striped), torch.ones_like(striped), striped):
        for values in (torch.full_like(striped, logit), (striped * 2 - 1) * logit):
            logits = values.to(dtype).requires_grad_()
            found = loss(logits, target)
            found.backward()
            assert found.dtype == torch.float32
            assert 0 <= found < 101
            assert logits.grad.isfinite().all()


def test_perfect_prediction_costs_nothing() -> None:
    _, target, _ = random_batch(2, 1, 8, 8)
    logits = torch.where(target, 100.0, -100.0)
    for loss in MASK_LOSSES:
        assert loss(logits, target).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_input_is_computed_in_float32(dtype: torch.dtype) -> None:
    logits, target, valid = random_batch(2, 1, 64, 64)
    half = logits.to(dtype)
    for loss in MASK_LOSSES:
        exact = loss(half.double(), target, valid=valid)
        with torch.autocast("cpu", dtype=dtype):
            found = loss(half, target, valid=valid)
        assert found.item() == pytest.approx(exact.item(), rel=1e-5)


@pytest.mark.parametrize("loss", MASK_LOSSES)
def test_mismatched_arguments_are_refused(loss: Loss) -> None:
    logits = torch.zeros(2, 1, 4, 4)
    with pytest.raises(GeometryError, match=r"\(2, 1, 4, 4\) and \(2, 4, 4\)"):
        loss(logits, torch.zeros(2, 4, 4))
    with pytest.raises(GeometryError, match="Logits and target"):
        loss(torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4))
    with pytest.raises(GeometryError, match=r"valid mask must be bool .* not torch.float32"):
        loss(logits, logits, valid=torch.ones(2, 1, 4, 4))
    with pytest.raises(GeometryError, match="valid mask"):
        loss(logits, logits, valid=torch.ones(1, 1, 4, 4, dtype=torch.bool))
    with pytest.raises(KeyError, match="sum"):
        loss(logits, logits, reduction="sum")


def test_each_image_needs_one_predicted_iou() -> None:
    logits = torch.zeros(2, 1, 4, 4)
    with pytest.raises(GeometryError, match="Each of the 2 images needs one predicted IoU"):
        iou_score_loss(torch.zeros(2, 3), logits, logits)
