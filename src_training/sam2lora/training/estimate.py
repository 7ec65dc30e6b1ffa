"""Estimate time and memory of a training before it starts, measured on one sample."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from sam2lora.adapters.lora import describe_share
from sam2lora.compute.device import autocast, choose_device, explain_out_of_memory, release_memory
from sam2lora.datasets import Problem, Record
from sam2lora.datasets.check import check_masks
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.models.sam2_image_model import DetailInputs, ImageEmbedding
from sam2lora.training.correction_rounds import loss_of_rounds
from sam2lora.training.data_loader import collate
from sam2lora.training.data_split import DataPlan, plan_data
from sam2lora.training.dataset import ORIENTATIONS, TrainingDataset
from sam2lora.training.frozen_network import FrozenNetwork
from sam2lora.training.optimizer_step import memory_advice, training_precision
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import find_start, make_trainable


@dataclass(frozen=True)
class Estimate:
    """Expected extent and cost of a training.

    Attributes
    ----------
    share
        Description of how much of the network is trained.
    images
        Number of training images by dataset and target.
    validation
        Number of validation images.
    device, precision
        Device and floating-point precision of the training.
    seconds
        Time of all optimizer steps, without validation. With cached features (quick adapt) every
        window is encoded only once.
    bytes
        Peak memory of the process, or of the GPU.
    suspicious
        Masks that seem inverted; they are used as they are.
    """

    share: str
    images: dict[str, int]
    validation: int
    device: str
    precision: str
    seconds: float
    bytes: int
    suspicious: tuple[Problem, ...] = ()


def estimate(settings: TrainSettings) -> Estimate:
    """Run forward and backward on one sample, and extrapolate to the whole training.

    Raises
    ------
    Sam2LoraError
        If the training itself would fail: because of settings, data, model or memory.
    """
    plan = plan_data(settings)
    suspicious = _check_masks(plan)
    device = choose_device(settings.device)
    precision = training_precision(settings, device)
    trainable = make_trainable(settings, start=find_start(settings))
    network = trainable.base.network
    samples = TrainingDataset(
        plan.groups, settings, size=network.input_size, mask_size=network.mask_size
    )
    sample, less = samples.sample(0), memory_advice(settings, 1)
    with explain_out_of_memory(device, "Training on one sample", less=less):
        model = trainable.model.to(device).train()
        memory, encoding = _Memory(device), 0.0
        features: ImageEmbedding | DetailInputs | None = None
        if settings.reuses_windows:
            for _ in range(2):
                frozen = FrozenNetwork(
                    network,
                    settings,
                    device=device,
                    precision=precision,
                    embeddings=EmbeddingCache(0),
                )
                compute = frozen.detail_inputs if settings.freeze_network else frozen.features
                started = time.perf_counter()
                features = compute([sample])
                encoding = time.perf_counter() - started
            memory.update()
        most = settings.prompts.rounds if settings.prompts.corrected else 0
        by_rounds: dict[int, float] = {}
        grown: dict[int, int] = {}
        for rounds in dict.fromkeys((0, most)):
            batch = collate([replace(sample, rounds=rounds)], device, features=features)
            for _ in range(2):  # the first pass warms up
                started = time.perf_counter()
                with autocast(device, precision):
                    found = model(batch.images, batch.prompts, batch.corrections)
                loss = loss_of_rounds(found, batch.target, batch.valid, settings.loss)
                memory.update()  # all activations are in memory now
                torch.autograd.backward(loss.total)
                by_rounds[rounds] = time.perf_counter() - started
            grown[rounds] = memory.grown
        seconds = by_rounds[0]
        if most:
            mean = settings.prompts.corrected * (1 + most) / 2
            seconds += mean / most * (by_rounds[most] - by_rounds[0])
    # Of a batch, the usual share is corrected, in as many rounds as there can be.
    corrected = math.ceil(settings.prompts.corrected * settings.batch)
    activations = grown[0] * settings.batch + (grown[most] - grown[0]) * corrected
    samples_in_all = settings.batch * settings.accumulate * settings.steps
    windows = min(samples_in_all, plan.samples_per_epoch * settings.variants)
    if settings.freeze_network:  # windows are replaced when all their orientations were shown
        windows = max(windows, samples_in_all // ORIENTATIONS)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    summary: dict[str, Any] = plan.summary()
    return Estimate(
        share=describe_share(model),
        images=summary["images"],
        validation=summary["validation"],
        device=str(device),
        precision=precision,
        seconds=seconds * samples_in_all + encoding * windows,
        bytes=memory.before + activations + 8 * trained,
        suspicious=suspicious,
    )


def _check_masks(plan: DataPlan) -> tuple[Problem, ...]:
    """Read all masks, and return what `check_masks` finds, each file once."""
    by_use: dict[tuple[str, Any], list[Record]] = {}
    for item in (*(item for group in plan.groups for item in group), *plan.validation):
        by_use.setdefault((item.target, item.grader), []).append(item.record)
    found = {
        problem: None
        for (target, grader), records in by_use.items()
        for problem in check_masks({r.image: r for r in records}.values(), target, grader=grader)
    }
    return tuple(found)


class _Memory:
    """Track the growth of the memory of a device, or of this process."""

    def __init__(self, device: torch.device) -> None:
        release_memory(device)
        self._device = device
        self.before = self._now()
        self.grown = 0

    def update(self) -> None:
        """Measure again, and keep the largest growth so far."""
        self.grown = max(self.grown, self._now() - self.before)

    def _now(self) -> int:
        if self._device.type == "cuda":
            allocated: int = torch.cuda.memory_allocated(self._device)
            return allocated
        used: int = psutil.Process().memory_info().rss
        return used
