"""The peer of a training step: stock modules, PEFT, and a loop as a tutorial has it, in float32."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.speed.stock import stock_answer, stock_features
from sam2lora.adapters.peft_format import peft_config
from sam2lora.models.sam2_image_model import MEAN, STD
from sam2lora.settings import LoraSettings


class PlainLoop:
    """Trains LoRA in a stock SAM 2 by the paper's loss.

    Parameters
    ----------
    model
        From `stock.stock_model`; LoRA is put into it.
    lora
        With its rank settled.
    """

    def __init__(self, model: Any, lora: LoraSettings) -> None:
        from peft import LoraConfig, PeftModel

        config = LoraConfig(**(peft_config(lora) | {"inference_mode": False}))
        self._peft = PeftModel(model, config).train()
        self._model = self._peft.get_base_model()
        self._device = model.no_mem_embed.device
        self._weights = [one for one in self._peft.parameters() if one.requires_grad]
        self._optimizer = torch.optim.AdamW(self._weights, lr=1e-4, weight_decay=3e-4)

    def step(self, images: Tensor, points: Tensor, labels: Tensor, target: Tensor) -> float:
        """Do one step and give its loss.

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
        logits, iou = stock_answer(
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
    """Give the paper's composite loss, per image and then the mean, as its formulas are written.

    Parameters
    ----------
    logits, target
        `(B, 1, H, W)`; `target` is 0 or 1.
    iou
        `(B, 1)`: expected.
    """
    chance = logits.sigmoid()
    over = (1, 2, 3)
    bce = F.binary_cross_entropy_with_logits(logits, target)
    hit = (chance * target).sum(over)
    missed, wrong = ((1 - chance) * target).sum(over), (chance * (1 - target)).sum(over)
    dice = 1 - (2 * hit + 1) / (chance.sum(over) + target.sum(over) + 1)
    tversky = (1 - (hit + 1) / (hit + 0.7 * missed + 0.3 * wrong + 1)) ** 0.75
    answer = (chance > 0.5).float()
    both = (answer * target).sum(over)
    true_iou = (both / ((answer + target).clamp(max=1).sum(over)).clamp(min=1)).detach()
    return bce + dice.mean() + tversky.mean() + 0.1 * (iou[:, 0] - true_iou).abs().mean()
