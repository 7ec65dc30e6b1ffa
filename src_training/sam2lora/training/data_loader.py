"""Batches of training samples, prepared in worker processes in an order that can be resumed."""

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sam2lora.errors import Sam2LoraError
from sam2lora.models.sam2_image_model import DetailInputs, ImageEmbedding, normalize
from sam2lora.prompts.prompt_batch import PromptBatch
from sam2lora.training.correction_rounds import Correction
from sam2lora.training.dataset import TrainingDataset, TrainingSample


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch in the format of the network, on its device.

    Attributes
    ----------
    images
        `(B, 3, S, S)` float32, normalized; or what frozen parts of the network made of them.
    prompts
        B prompt batches of size one.
    target, valid
        `(B, 1, S, S)` bool: the target, and the pixels that count.
    corrections
        How each sample is corrected; none if no sample is.
    """

    images: Tensor | ImageEmbedding | DetailInputs
    prompts: list[PromptBatch]
    target: Tensor
    valid: Tensor
    corrections: list[Correction]


_AHEAD = 8  # samples prefetched by each worker: more than a default step takes


def sample_numbers(
    steps: range, *, batch: int, accumulate: int, process: int, processes: int
) -> list[int]:
    """Return the indices of the samples that one process trains on, in order.

    Together, the processes see in each step the samples that a single process would see with a
    batch as large as all of theirs.

    Parameters
    ----------
    steps
        Remaining optimizer steps.
    batch, accumulate
        Samples per batch in one process, and batches per step.
    process, processes
        Index of the process, and number of processes.
    """
    in_step = batch * accumulate * processes
    return [
        step * in_step + (part * processes + process) * batch + position
        for step in steps
        for part in range(accumulate)
        for position in range(batch)
    ]


def read_samples(
    samples: TrainingDataset, numbers: Sequence[int], *, workers: int
) -> Iterator[TrainingSample]:
    """Yield samples in order, prepared ahead by `workers` processes.

    Raises
    ------
    Sam2LoraError
        If a sample cannot be prepared; the message names its file.
    """
    loader = DataLoader(
        samples,
        batch_size=None,
        sampler=list(numbers),
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        collate_fn=_as_is,
        worker_init_fn=_ignore_interrupts,
    )
    for sample in loader:
        if isinstance(sample, Sam2LoraError):
            raise sample
        yield sample


def collate(
    samples: Sequence[TrainingSample],
    device: torch.device,
    *,
    features: ImageEmbedding | DetailInputs | None = None,
) -> Batch:
    """Combine samples to a batch on a device, with `features` in place of their images if given.

    Masks are turned as the samples say, and so must be the features; images are not.
    """
    target, valid = (
        torch.stack([turned(torch.from_numpy(plane), turn) for plane, turn in planes])[:, None].to(
            device
        )
        for planes in (
            [(item.mask, item.turn) for item in samples],
            [(item.valid, item.turn) for item in samples],
        )
    )
    prompts = [sample.prompts.to(device) for sample in samples]
    corrections = [Correction(item.mask, item.valid, item.rounds, item.seed) for item in samples]
    if not any(item.rounds for item in samples):
        corrections = []
    return Batch(features or images_of(samples, device), prompts, target, valid, corrections)


def turned(maps: Tensor, turn: int) -> Tensor:
    """Turn maps `(…, n, n)` by `turn` % 4 quarters; from 4 on, they are mirrored as well."""
    rotated = torch.rot90(maps, turn % 4, (-2, -1))
    return rotated.flip(-1) if turn >= 4 else rotated


def images_of(samples: Sequence[TrainingSample], device: torch.device) -> Tensor:
    """Return the normalized windows of samples: `(B, 3, S, S)` float32."""
    pixels = torch.from_numpy(np.stack([sample.pixels for sample in samples]))
    return normalize(pixels.to(device))


def _as_is(sample: Any) -> Any:
    return sample


def _ignore_interrupts(worker: int) -> None:
    """Ignore Ctrl-C in a worker; the main process handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
