"""One optimizer step: forward, loss and backward of its batches, then clip and update."""

import math
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from accelerate import Accelerator
from torch import Tensor

from sam2lora.compute.device import autocast, choose_precision, explain_out_of_memory
from sam2lora.errors import DeviceError, TrainingError
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.losses.composite import LossTerms
from sam2lora.models.sam2_image_model import DetailInputs, ImageEmbedding
from sam2lora.settings import Precision
from sam2lora.training.correction_rounds import Round, loss_of_rounds
from sam2lora.training.data_loader import collate
from sam2lora.training.dataset import TrainingSample
from sam2lora.training.frozen_network import FrozenNetwork
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import TrainableModel

_SKIPS = 20  # consecutive steps that float16 may skip: its scale has shrunk a million times then


class OptimizerStep:
    """Update the weights by one step of AdamW on a list of samples.

    Parameters
    ----------
    trainable
        The model to train; it is moved to the accelerator's device.
    settings
        Training settings: loss, optimizer and precision.
    accelerator
        Device and processes of the training.
    features
        Cache for image features, used if the encoder or the network is frozen.
    """

    def __init__(
        self,
        trainable: TrainableModel,
        settings: TrainSettings,
        accelerator: Accelerator,
        features: EmbeddingCache,
    ) -> None:
        self.device: torch.device = accelerator.device
        self.precision = training_precision(settings, self.device)
        self._settings, self._accelerator = settings, accelerator
        with explain_out_of_memory(self.device, "The model", less=""):
            trainable.model.to(self.device)
        self._frozen = FrozenNetwork(
            trainable.base.network,
            settings,
            device=self.device,
            precision=self.precision,
            embeddings=features,
        )
        self.weights = [weight for weight in trainable.model.parameters() if weight.requires_grad]
        # Processes are synchronised by its forward only, so all computation goes through it.
        self._model = accelerator.prepare_model(trainable.model)
        self.optimizer = _adamw(self.weights, settings)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == "float16")
        self._skipped = 0

    def step(
        self, samples: Sequence[TrainingSample], *, number: int, rate: float, batch: int
    ) -> tuple[float, dict[str, float]]:
        """Do one step and return its loss and terms, as means over the samples of all processes.

        They are those of the predictions before any correction; the gradient is that of all rounds.

        Parameters
        ----------
        samples
            Samples of this process.
        number
            Index of the step; dropout depends on it and on the seed alone.
        rate
            Learning rate of the step.
        batch
            Number of samples processed at once.

        Raises
        ------
        DeviceError
            If memory does not suffice for the gradient; nothing has changed then.
        TrainingError
            If the loss or its gradient is not finite; nothing has changed then. Or if memory does
            not suffice for AdamW; weights may have changed then.
        """
        self.optimizer.zero_grad()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        seed = (self._settings.seed * 1_000_003 + number) * 1_009
        torch.manual_seed(seed + self._accelerator.process_index)
        self._model.train()
        parts = [samples[start : start + batch] for start in range(0, len(samples), batch)]
        losses = []
        for part in parts:
            # Gradients of several batches add up here; processes exchange their sum once.
            last = part is parts[-1]
            with (
                nullcontext() if last else self._accelerator.no_sync(self._model),
                explain_out_of_memory(
                    self.device, "A training step", less=memory_advice(self._settings, batch)
                ),
            ):
                losses.append(self._backward(part, share=len(part) / len(samples)))
        total, terms = self._means(losses, [len(part) / len(samples) for part in parts])
        if not math.isfinite(total):
            raise _not_finite(f"The loss is {total}", number, samples)
        try:
            with explain_out_of_memory(self.device, "AdamW", less=memory_advice(self._settings, 1)):
                self._update(number, samples)
        except DeviceError as error:
            # Some weights may have been updated, so this cannot be repeated.
            raise TrainingError(str(error)) from error
        return total, terms

    def _update(self, number: int, samples: Sequence[TrainingSample]) -> None:
        """Clip the gradient and update the weights."""
        self.scaler.unscale_(self.optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self.weights, self._settings.optimizer.clip))
        # In float16 a gradient may overflow; the scaler then skips the step and scales less.
        self._skipped = 0 if math.isfinite(norm) else self._skipped + 1
        if self._skipped > (_SKIPS if self.scaler.is_enabled() else 0):
            raise _not_finite(f"The gradient is {norm}", number, samples)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def _backward(self, samples: Sequence[TrainingSample], *, share: float) -> LossTerms:
        batch = collate(samples, self.device, features=self._computed_once(samples))
        with autocast(self.device, self.precision):
            rounds: tuple[Round, ...] = self._model(batch.images, batch.prompts, batch.corrections)
        loss = loss_of_rounds(rounds, batch.target, batch.valid, self._settings.loss)
        torch.autograd.backward(self.scaler.scale(loss.total * share))
        return loss.first

    def _computed_once(
        self, samples: Sequence[TrainingSample]
    ) -> ImageEmbedding | DetailInputs | None:
        """Return what the frozen parts of the network make of windows; None if there are none."""
        if self._settings.freeze_network:
            return self._frozen.detail_inputs(samples)
        return self._frozen.features(samples) if self._settings.freeze_encoder else None

    def _means(
        self, losses: Sequence[LossTerms], shares: Sequence[float]
    ) -> tuple[float, dict[str, float]]:
        names = list(losses[0].terms)
        rows = [torch.stack([loss.total, *(loss.terms[name] for name in names)]) for loss in losses]
        means: Tensor = torch.tensor(shares, device=self.device) @ torch.stack(rows)
        total, *terms = self._accelerator.reduce(means, "mean").tolist()
        return total, dict(zip(names, terms, strict=True))


def _not_finite(what: str, number: int, samples: Sequence[TrainingSample]) -> TrainingError:
    names = ", ".join(sorted({sample.name for sample in samples}))
    return TrainingError(
        f"{what} at step {number}, on {names}. The weights were not changed by this step. Lower "
        "the learning rate, or use precision float32."
    )


def memory_advice(settings: TrainSettings, batch: int) -> str:
    """Return which setting would reduce the memory of a step; empty if none is left."""
    if batch > 1:
        return "a smaller batch"
    return "" if settings.gradient_checkpointing else "gradient_checkpointing (--preset low-memory)"


def training_precision(settings: TrainSettings, device: torch.device) -> Precision:
    """Return the precision of a training; float16 becomes float32 on a CPU, which lacks it."""
    if settings.precision == "float16" and device.type == "cpu":
        return "float32"
    return choose_precision(settings.precision, device)


def _adamw(weights: Sequence[torch.nn.Parameter], settings: TrainSettings) -> torch.optim.AdamW:
    """Create AdamW without weight decay on biases and on the scales of norms."""
    matrices = [weight for weight in weights if weight.ndim >= 2]
    vectors = [weight for weight in weights if weight.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.optimizer.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.optimizer.learning_rate,
        fused=all(weight.device.type in ("cpu", "cuda") for weight in weights),
    )
