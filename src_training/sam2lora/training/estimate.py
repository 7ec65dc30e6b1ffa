"""What a training will do, before it starts: measured on one sample, not guessed."""

import time
from dataclasses import dataclass
from typing import Any

import psutil
import torch

from sam2lora.adapters.lora import describe_share
from sam2lora.compute.device import autocast, choose_device, explain_out_of_memory, release_memory
from sam2lora.losses.composite import composite_loss
from sam2lora.models.sam2_image_model import ImageEmbedding
from sam2lora.training.data_loader import collate, images_of
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import TrainingDataset
from sam2lora.training.optimizer_step import saves_memory, training_precision
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import find_start, make_trainable


@dataclass(frozen=True)
class Estimate:
    """What a training will do and need.

    Attributes
    ----------
    share
        How much of the network is trained, in words.
    images
        Data set and target to images learned from.
    validation
        Number of held-out images.
    device, precision
        Where and in what it computes.
    seconds
        Of all optimizer steps; validation comes on top. With kept features (quick adapt) every
        window is encoded only once.
    bytes
        Memory the process, or the GPU, will need.
    """

    share: str
    images: dict[str, int]
    validation: int
    device: str
    precision: str
    seconds: float
    bytes: int


def estimate(settings: TrainSettings) -> Estimate:
    """Do forward and backward of one sample, and reckon the whole training from it.

    Raises
    ------
    Sam2LoraError
        For whatever the training itself would refuse: settings, data, models, memory.
    """
    plan = plan_data(settings)
    device = choose_device(settings.device)
    precision = training_precision(settings, device)
    trainee = make_trainable(settings, start=find_start(settings))
    network = trainee.base.network
    samples = TrainingDataset(
        plan.groups, settings, size=network.input_size, mask_size=network.mask_size
    )
    sample, less = samples.draw(0), saves_memory(settings, 1)
    with explain_out_of_memory(device, "Training on one sample", less=less):
        model = trainee.model.to(device).train()
        memory, encoding, seconds = _Memory(device), 0.0, 0.0
        features: ImageEmbedding | None = None
        if settings.freeze_encoder:
            images = images_of([sample], device)
            for _ in range(2):
                started = time.perf_counter()
                with torch.no_grad(), autocast(device, precision):
                    features = network.encode(images)
                encoding = time.perf_counter() - started
            memory.look()
        batch = collate([sample], device, features=features)
        for _ in range(2):  # the first one warms up
            started = time.perf_counter()
            with autocast(device, precision):
                logits, iou = model(batch.images, batch.prompts)
            loss = composite_loss(logits, iou, batch.target, settings.loss, valid=batch.valid)
            memory.look()  # all activations are held now
            torch.autograd.backward(loss.total)
            seconds = time.perf_counter() - started
    taken = settings.batch * settings.accumulate * settings.steps
    windows = min(taken, plan.samples_per_epoch * settings.variants)
    trained = sum(one.numel() for one in model.parameters() if one.requires_grad)
    summary: dict[str, Any] = plan.summary()
    return Estimate(
        share=describe_share(model),
        images=summary["images"],
        validation=summary["validation"],
        device=str(device),
        precision=precision,
        seconds=seconds * taken + encoding * windows,
        bytes=memory.before + memory.grown * settings.batch + 8 * trained,
    )


class _Memory:
    """Look how much memory a device, or this process, takes more than before."""

    def __init__(self, device: torch.device) -> None:
        release_memory(device)
        self._device = device
        self.before = self._now()
        self.grown = 0

    def look(self) -> None:
        """Note the growth if it is the largest so far."""
        self.grown = max(self.grown, self._now() - self.before)

    def _now(self) -> int:
        if self._device.type == "cuda":
            most: int = torch.cuda.memory_allocated(self._device)
            return most
        used: int = psutil.Process().memory_info().rss
        return used
