"""The peer of a training step: stock modules, PEFT and a tutorial-style loop, in float32."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.stock import stock_features, stock_prediction
from sam2lora.adapters.peft_format import peft_config
from sam2lora.models.normalization import MEAN, STD
from sam2lora.settings import LoraSettings


class PlainLoop:
    """Trains LoRA in a stock SAM 2 with the paper's loss.

    Parameters
    ----------
    model
        From `stock.stock_model`; LoRA is added to it.
    lora
        LoRA settings with a fixed rank.
    """

    def __init__(self, model: Any, lora: LoraSettings) -> None:
        from peft import LoraConfig, PeftModel

        config = LoraConfig(**(peft_config(lora) | {"inference_mode": False}))
        self._peft = PeftModel(model, config).train()
        self._model = self._peft.get_base_model()
        self._device = model.no_mem_embed.device
        self._weights = [
            parameter for parameter in self._peft.parameters() if parameter.requires_grad
        ]
        self._optimizer = torch.optim.AdamW(self._weights, lr=1e-4, weight_decay=3e-4)

    def step(self, images: Tensor, points: Tensor, labels: Tensor, target: Tensor) -> float:
        """Do one step and return its loss.

        Parameters
        ----------
        images
            `(B, S, S, 3)` uint8.
        points, labels
            `(B, N, 2)` and `(B, N)`.
        target
            `(B, 1, S, S)` bool.
        """
        pixels = images.to(self._device).permute(0, 3, 1, 2).float() / 255
        mean, std = (pixels.new_tensor(numbers).view(1, 3, 1, 1) for numbers in (MEAN, STD))
        features = stock_features(self._model, (pixels - mean) / std)
        logits, iou = stock_prediction(
            self._model, features, points.to(self._device), labels.to(self._device)
        )
        full = F.interpolate(logits, size=target.shape[-2:], mode="bilinear")
        loss = plain_loss(full, iou, target.to(self._device).float())
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.step()
        return float(loss.detach())


def plain_loss(logits: Tensor, iou: Tensor, target: Tensor) -> Tensor:
    """Return the paper's composite loss, per image and then the mean, by its formulas.

    Parameters
    ----------
    logits, target
        `(B, 1, H, W)`; `target` is 0 or 1.
    iou
        `(B, 1)`: the predicted IoU.
    """
    probability = logits.sigmoid()
    axes = (1, 2, 3)
    bce = F.binary_cross_entropy_with_logits(logits, target)
    hit = (probability * target).sum(axes)
    missed = ((1 - probability) * target).sum(axes)
    wrong = (probability * (1 - target)).sum(axes)
    dice = 1 - (2 * hit + 1) / (probability.sum(axes) + target.sum(axes) + 1)
    tversky = (1 - (hit + 1) / (hit + 0.7 * missed + 0.3 * wrong + 1)) ** 0.75
    mask = (probability > 0.5).float()
    both = (mask * target).sum(axes)
    true_iou = (both / ((mask + target).clamp(max=1).sum(axes)).clamp(min=1)).detach()
    return bce + dice.mean() + tversky.mean() + 0.1 * (iou[:, 0] - true_iou).abs().mean()
