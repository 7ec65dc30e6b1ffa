"""The composite loss: weights, logged terms, accumulation, and invalid settings."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from sam2lora.errors import GeometryError
from sam2lora.losses.composite import LOSSES, composite_loss
from sam2lora.losses.functional import (
    focal_tversky,
    iou_score_loss,
    segmentation_bce,
    soft_cldice,
    soft_dice,
)
from sam2lora.settings import LossSettings, LossWeights


def random_batch(images: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits, predicted IoUs, target and valid mask; the last image has no valid pixel."""
    generator = torch.Generator().manual_seed(0)
    shape = (images, 1, 7, 8)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    iou = torch.rand(images, 1, generator=generator, dtype=torch.float64, requires_grad=True)
    target = torch.rand(shape, generator=generator) < 0.4
    valid = torch.rand(shape, generator=generator) < 0.7
    valid[-1] = False
    return logits, iou, target, valid


def test_every_weight_has_its_loss() -> None:
    assert set(LOSSES) == set(LossWeights.model_fields)


def test_default_is_the_weighted_sum_of_the_paper() -> None:
    logits, iou, target, _ = random_batch(2)
    found = composite_loss(logits, iou, target, LossSettings())
    expected = {
        "bce": segmentation_bce(logits, target),
        "soft_dice": soft_dice(logits, target),
        "focal_tversky": focal_tversky(logits, target, alpha=0.7, beta=0.3, gamma=0.75),
        "iou": iou_score_loss(iou, logits, target),
    }
    assert found.terms == expected
    total = sum(expected.values()) - 0.9 * expected["iou"]
    torch.testing.assert_close(found.total, total)


def test_every_setting_reaches_its_term() -> None:
    logits, iou, target, valid = random_batch(3)
    settings = LossSettings(
        weights=LossWeights(bce=2, soft_dice=3, focal_tversky=4, iou=5, cldice=6),
        reduction="batch",
        tversky_alpha=0.2,
        tversky_beta=0.6,
        tversky_gamma=1.5,
        smooth=0.5,
        threshold=0.7,
        cldice_iterations=1,
    )
    found = composite_loss(logits, iou, target, settings, valid=valid)
    batch = {"valid": valid, "reduction": "batch"}
    expected = {
        "bce": segmentation_bce(logits, target, **batch),
        "soft_dice": soft_dice(logits, target, smooth=0.5, **batch),
        "focal_tversky": focal_tversky(
            logits, target, alpha=0.2, beta=0.6, gamma=1.5, smooth=0.5, **batch
        ),
        "iou": iou_score_loss(iou, logits, target, valid=valid, threshold=0.7),
        "cldice": soft_cldice(logits, target, iterations=1, smooth=0.5, **batch),
    }
    assert found.terms == expected
    weights = dict(settings.weights)
    torch.testing.assert_close(found.total, sum(weights[name] * expected[name] for name in weights))


def test_terms_are_detached_and_the_total_is_not() -> None:
    logits, iou, target, valid = random_batch(2)
    found = composite_loss(logits, iou, target, LossSettings(), valid=valid)
    assert not any(term.requires_grad for term in found.terms.values())
    found.total.backward()
    assert logits.grad.any()
    assert iou.grad.any()


def test_gradient_is_that_of_finite_differences() -> None:
    logits, iou, target, valid = random_batch(2)
    settings = LossSettings(weights=LossWeights(cldice=0.5))
    assert torch.autograd.gradcheck(
        lambda *values: composite_loss(*values, target, settings, valid=valid).total,
        (logits, iou),
        fast_mode=True,
    )


def test_accumulated_images_are_the_batch() -> None:
    logits, iou, target, valid = random_batch(4)
    settings = LossSettings(weights=LossWeights(cldice=0.5))
    whole = composite_loss(logits, iou, target, settings, valid=valid)
    expected = torch.autograd.grad(whole.total, (logits, iou))
    for start in range(4):
        part = slice(start, start + 1)
        part_loss = composite_loss(
            logits[part], iou[part], target[part], settings, valid=valid[part]
        )
        (part_loss.total / 4).backward()
    torch.testing.assert_close(logits.grad, expected[0])
    torch.testing.assert_close(iou.grad, expected[1])


def test_a_batch_with_nothing_valid_costs_nothing() -> None:
    logits, iou, target, valid = random_batch(2)
    settings = LossSettings(weights=LossWeights(cldice=1))
    found = composite_loss(logits, iou, target, settings, valid=torch.zeros_like(valid))
    found.total.backward()
    assert found.total == 0
    assert not any(term.item() for term in found.terms.values())
    assert not logits.grad.any()
    assert not iou.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_a_float32_total(dtype: torch.dtype) -> None:
    logits, iou, target, _ = random_batch(2)
    logits, iou = logits.detach().to(dtype).requires_grad_(), iou.detach().to(dtype)
    with torch.autocast("cpu", dtype=dtype):
        found = composite_loss(logits * 100, iou, target, LossSettings())
    found.total.backward()
    assert found.total.dtype == torch.float32
    assert found.total.isfinite()
    assert logits.grad.isfinite().all()


def test_gradient_descent_lowers_the_loss() -> None:
    _, iou, target, _ = random_batch(2)
    logits = torch.zeros(target.shape, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    losses = []
    for _ in range(30):
        total = composite_loss(logits, iou.detach(), target, LossSettings()).total
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < 0.2 * losses[0]
    assert torch.equal(logits > 0, target)


def test_mismatched_shapes_are_refused() -> None:
    logits, iou, target, _ = random_batch(2)
    with pytest.raises(GeometryError, match="Logits and target"):
        composite_loss(logits, iou, target[:, 0], LossSettings())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weights": {"bce": -1}}, "greater than or equal to 0"),
        ({"weights": {"bce": float("inf")}}, "finite"),
        ({"weights": {"bce": float("nan")}}, "finite"),
        ({"weights": {"hausdorff": 1}}, "hausdorff"),
        ({"weights": {"bce": 0, "soft_dice": 0, "focal_tversky": 0}}, "no term trains the mask"),
        ({"reduction": "sum"}, "'image' or 'batch'"),
        ({"smooth": 0}, "greater than 0"),
        ({"tversky_gamma": 0}, "greater than 0"),
        ({"threshold": 1}, "less than 1"),
        ({"alpha": 0.5}, "alpha"),
    ],
)
def test_invalid_loss_settings_are_refused(wrong: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LossSettings.model_validate(wrong)


def test_settings_survive_json() -> None:
    settings = LossSettings(weights=LossWeights(bce=0, cldice=0.3), reduction="batch")
    assert LossSettings.model_validate_json(settings.model_dump_json()) == settings
