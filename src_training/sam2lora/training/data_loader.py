"""Batches from samples: prepared ahead in other processes, in an order that can be resumed."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sam2lora.errors import Sam2LoraError
from sam2lora.models.sam2_image_model import ImageEmbedding, normalize
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.training.dataset import TrainingDataset, TrainingSample


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples as the network takes them, on its device.

    Attributes
    ----------
    images
        `(B, 3, S, S)` float32, normalized; or features, where those are kept.
    prompts
        B batches of one.
    target, valid
        `(B, 1, S, S)` bool.
    """

    images: Tensor | ImageEmbedding
    prompts: list[PromptBatch]
    target: Tensor
    valid: Tensor


_AHEAD = 8  # samples that each process prepares ahead: more than a usual step takes


def sample_numbers(
    steps: range, *, batch: int, accumulate: int, process: int, processes: int
) -> list[int]:
    """Give the numbers of the samples that one process sees, in the order it sees them.

    All processes together see the samples of a step that one process would see with batches as
    large as theirs together.

    Parameters
    ----------
    steps
        Optimizer steps still to do.
    batch, accumulate
        Samples at once in one process, and such batches in a step.
    process, processes
        Which one of how many.
    """
    in_step = batch * accumulate * processes
    return [
        step * in_step + (part * processes + process) * batch + place
        for step in steps
        for part in range(accumulate)
        for place in range(batch)
    ]


def read_samples(
    samples: TrainingDataset, numbers: Sequence[int], *, workers: int
) -> Iterator[TrainingSample]:
    """Give samples in order, prepared ahead by `workers` processes.

    Raises
    ------
    Sam2LoraError
        That of a sample which cannot be made; the message names its file.
    """
    loader = DataLoader(
        samples,
        batch_size=None,
        sampler=list(numbers),
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        collate_fn=_as_is,
        worker_init_fn=_leave_interrupts_to_the_loop,
    )
    for sample in loader:
        if isinstance(sample, Sam2LoraError):
            raise sample
        yield sample


def collate(
    samples: Sequence[TrainingSample],
    device: torch.device,
    *,
    features: ImageEmbedding | None = None,
) -> Batch:
    """Put samples together, on a device; their images are left out where there are features."""
    target, valid = (
        torch.from_numpy(np.stack(planes))[:, None].to(device)
        for planes in ([one.mask for one in samples], [one.valid for one in samples])
    )
    prompts = [sample.prompts.to(device) for sample in samples]
    return Batch(features or images_of(samples, device), prompts, target, valid)


def images_of(samples: Sequence[TrainingSample], device: torch.device) -> Tensor:
    """Give the windows of samples as the network takes them: `(B, 3, S, S)` float32."""
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    return normalize(pixels.to(device))


def _as_is(sample: Any) -> Any:
    return sample


def _leave_interrupts_to_the_loop(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
