"""Sides of the training benchmarks: one step, and an epoch of quick adapt."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from accelerate import Accelerator

from benchmarks.speed.definitions import BenchmarkSettings
from benchmarks.speed.material import random_adapter, sample_image
from benchmarks.speed.plain_training import PlainLoop
from benchmarks.speed.prediction import Turn
from benchmarks.speed.stock import stock_model
from sam2lora.adapters.lora import resolve_lora
from sam2lora.compute.device import choose_device
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.models.loading import load_base
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.settings import LoraSettings
from sam2lora.training.dataset import TrainingSample
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.settings import TrainSettings, make_settings
from sam2lora.training.trainable import find_start, make_trainable

_AMPLE = 1 << 40  # bytes: nothing is evicted


def train_plain(settings: BenchmarkSettings) -> Turn:
    """Prepare a step of the plain loop."""
    base = load_base(settings.base)
    lora = resolve_lora(base.network, LoraSettings(rank=settings.rank))
    network = base.network.to(choose_device(settings.device))
    loop = PlainLoop(stock_model(base.spec, network), lora)
    samples = _samples(network.input_size, settings.batch)
    images = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    target = torch.from_numpy(np.stack([sample.mask for sample in samples]))[:, None]
    prompts = PromptBatch.cat([sample.prompts for sample in samples])
    return lambda: loop.step(images, prompts.points, prompts.labels, target)


def train_standard(settings: BenchmarkSettings) -> Turn:
    """Prepare a step of our training with the standard preset."""
    return _train(settings, "standard", batch=settings.batch)


def train_low_memory(settings: BenchmarkSettings) -> Turn:
    """Prepare a step over as many images with the low-memory preset."""
    return _train(settings, "low-memory", batch=1)


def quick_adapt_kept(settings: BenchmarkSettings) -> Turn:
    """Prepare an epoch with cached embeddings; the first one computes them."""
    return _quick_adapt(settings, EmbeddingCache(_AMPLE))


def quick_adapt_encoding(settings: BenchmarkSettings) -> Turn:
    """Prepare an epoch that encodes each image again."""
    return _quick_adapt(settings, EmbeddingCache(0))


def _train(settings: BenchmarkSettings, preset: str, *, batch: int) -> Turn:
    optimizer_step, size = _optimizer_step(_settings(settings, preset), EmbeddingCache(0))
    samples = _samples(size, settings.batch)
    return lambda: optimizer_step.step(samples, number=0, rate=1e-4, batch=batch)


def _quick_adapt(settings: BenchmarkSettings, cache: EmbeddingCache) -> Turn:
    with TemporaryDirectory() as folder:
        start = random_adapter(load_base(settings.base), settings.rank, Path(folder) / "start")
        quick = _settings(settings, "quick", start=start.folder)
        optimizer_step, size = _optimizer_step(quick, cache)
    samples = _samples(size, settings.images)

    def turn() -> None:
        for number, start in enumerate(range(0, len(samples), quick.batch)):
            batch = samples[start : start + quick.batch]
            optimizer_step.step(batch, number=number, rate=1e-4, batch=quick.batch)

    return turn


def _settings(
    settings: BenchmarkSettings, preset: str, *, start: Path | None = None
) -> TrainSettings:
    changes = {
        "target": "disc",
        "data": [{"root": "none"}],
        "model": settings.base,
        "lora": {"rank": settings.rank},
        "precision": settings.precision,
        "device": settings.device,
    }
    if start:
        del changes["lora"]  # given by the adapter
        changes["start_from"] = str(start)
    return make_settings(preset, changes)


def _optimizer_step(settings: TrainSettings, cache: EmbeddingCache) -> tuple[OptimizerStep, int]:
    """Create the optimizer step of a training; return it and the side of its windows."""
    device = choose_device(settings.device)
    trainable = make_trainable(settings, start=find_start(settings))
    accelerator = Accelerator(cpu=device.type == "cpu")
    size = trainable.base.network.input_size
    return OptimizerStep(trainable, settings, accelerator, cache), size


def _samples(size: int, count: int) -> Sequence[TrainingSample]:
    """Create different windows, each with a disc and a positive point on it."""
    pixels = sample_image(size, size)
    rows, columns = np.ogrid[:size, :size]
    mask = (rows - size / 2) ** 2 + (columns - size / 2) ** 2 < (size / 8) ** 2
    return [
        TrainingSample(
            pixels=np.roll(pixels, number, axis=1),
            mask=mask,
            valid=np.ones((size, size), dtype=bool),
            prompts=PromptBatch.single(points=[[size / 2, size / 2]], labels=[1]),
            name=f"image {number}",
            key=f"image-{number}",
        )
        for number in range(count)
    ]
