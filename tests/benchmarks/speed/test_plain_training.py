"""The plain training loop learns, and its loss equals that of our training."""

import pytest
import torch

from benchmarks.speed.plain_training import PlainLoop, plain_loss
from benchmarks.speed.stock import stock_model
from sam2lora.adapters.lora import resolve_lora
from sam2lora.losses.composite import composite_loss
from sam2lora.settings import LoraSettings, LossSettings


def test_plain_loss_equals_our_loss():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 16, 16, generator=generator) * 3
    target = torch.rand(2, 1, 16, 16, generator=generator) > 0.7
    iou = torch.tensor([[0.2], [0.9]])
    ours = composite_loss(logits, iou, target, LossSettings()).total
    assert plain_loss(logits, iou, target.float()).item() == pytest.approx(ours.item(), abs=1e-4)


def test_plain_loop_lowers_the_loss_and_trains_only_lora(pocket_base, one_thread):
    base = pocket_base
    model = stock_model(base.spec, base.network)
    loop = PlainLoop(model, resolve_lora(base.network, LoraSettings(rank=2)))
    names = [name for name, weights in model.named_parameters() if weights.requires_grad]
    assert names
    assert all(".lora_" in name for name in names)
    images = torch.randint(0, 255, (1, 128, 128, 3), dtype=torch.uint8)
    target = torch.zeros(1, 1, 128, 128, dtype=torch.bool)
    target[..., 32:96, 32:96] = True
    points, labels = torch.tensor([[[64.0, 64.0]]]), torch.ones(1, 1).long()
    losses = [loop.step(images, points, labels, target) for _ in range(12)]
    assert min(losses[-3:]) < losses[0]
