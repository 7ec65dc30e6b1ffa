"""Shared by `head_ablation`: the training of a detail head alone, by processor time."""

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from sam2lora.compute.device import autocast
from sam2lora.losses.composite import composite_loss
from sam2lora.models.detail_head import DetailHead
from sam2lora.models.normalization import normalize
from sam2lora.models.outputs import DetailInputs
from sam2lora.training.data_loader import Batch, collate
from sam2lora.training.dataset import TrainingSample
from sam2lora.training.frozen_network import FrozenNetwork
from sam2lora.training.lr_schedule import learning_rate
from sam2lora.training.optimizer_step import training_precision
from sam2lora.training.settings import TrainSettings

CPU = torch.device("cpu")
RADIUS = 0.05  # of sharpness-aware steps, as in their paper
DECAY = 0.98  # of averaged weights


class HeadTraining:
    """The training of a head on what the frozen network computed from windows.

    Parameters
    ----------
    head
        The head, attached or not.
    settings
        Training settings.
    frozen
        What the network computed; only what is missing is computed in a step.
    sharpness_aware
        Whether each step uses the gradient at the highest loss nearby (SAM, Foret et al., 2021).
    """

    def __init__(
        self,
        head: DetailHead,
        settings: TrainSettings,
        frozen: FrozenNetwork,
        *,
        sharpness_aware: bool = False,
    ) -> None:
        self._head, self._settings, self._frozen = head, settings, frozen
        self._sharpness_aware = sharpness_aware
        self._weights = [weight.requires_grad_() for weight in head.parameters()]
        rate = settings.optimizer
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=rate.learning_rate, weight_decay=rate.weight_decay, fused=True
        )
        self._average = [weight.detach().clone() for weight in self._weights]

    def processor_seconds(self, pool: Sequence[TrainingSample], *, steps: int) -> float:
        """Train some steps; return the processor time they took."""
        self._head.train()
        started, batch = time.process_time(), self._settings.batch
        for step in range(steps):
            rate = learning_rate(step, steps, self._settings.optimizer)
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            first = step * batch
            self._step([pool[(first + number) % len(pool)] for number in range(batch)])
        return time.process_time() - started

    def use_average(self) -> None:
        """Replace the weights by their average over the last steps."""
        with torch.no_grad():
            for weight, average in zip(self._weights, self._average, strict=True):
                weight.copy_(average)

    def _step(self, samples: Sequence[TrainingSample]) -> None:
        inputs = self._frozen.detail_inputs(samples)
        batch = collate(samples, CPU, features=inputs)
        self._backward(batch)
        if self._sharpness_aware:
            shifts = self._climb()
            self._backward(batch)
            with torch.no_grad():
                for weight, shift in zip(self._weights, shifts, strict=True):
                    weight.sub_(shift)
        torch.nn.utils.clip_grad_norm_(self._weights, self._settings.optimizer.clip)
        self._optimizer.step()
        torch._foreach_lerp_(self._average, [w.detach() for w in self._weights], 1 - DECAY)

    def _backward(self, batch: Batch) -> None:
        self._optimizer.zero_grad()
        inputs = batch.images
        assert isinstance(inputs, DetailInputs)
        with autocast(CPU, training_precision(self._settings, CPU)):
            logits = self._head(normalize(inputs.pixels), inputs.embedding, inputs.low_res_logits)
        loss = composite_loss(
            logits, inputs.iou, batch.target, self._settings.loss, valid=batch.valid
        )
        loss.total.backward()

    @torch.no_grad()
    def _climb(self) -> list[Tensor]:
        """Move the weights to where the loss is highest nearby; return the shifts."""
        gradients = [weight.grad for weight in self._weights]
        norm = torch.linalg.vector_norm(
            torch.stack([g.norm() for g in gradients if g is not None])
        ).clamp(min=1e-12)
        shifts = []
        for weight, gradient in zip(self._weights, gradients, strict=True):
            shift = torch.zeros_like(weight) if gradient is None else gradient * (RADIUS / norm)
            weight.add_(shift)  # undone after the second gradient
            shifts.append(shift)
        return shifts
