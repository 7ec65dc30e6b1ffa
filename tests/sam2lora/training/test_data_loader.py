"""Batches: which process sees which sample, workers, and the format for the network."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from sam2lora.errors import ImageError
from sam2lora.models.normalization import normalize
from sam2lora.models.outputs import ImageEmbedding
from sam2lora.training.data_loader import (
    collate,
    images_of,
    read_samples,
    sample_numbers,
    turned,
)

from .helpers import Make, dataset_of, samples_of

CPU = torch.device("cpu")


def test_single_process_sees_samples_in_order() -> None:
    found = sample_numbers(range(3), batch=2, accumulate=2, process=0, processes=1)
    assert found == list(range(12))


@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (2, 3), (4, 2)])
def test_processes_together_see_the_samples_of_one_with_larger_batches(
    processes: int, accumulate: int
) -> None:
    each = [
        sample_numbers(
            range(3), batch=2, accumulate=accumulate, process=process, processes=processes
        )
        for process in range(processes)
    ]
    alone = sample_numbers(
        range(3), batch=2 * processes, accumulate=accumulate, process=0, processes=1
    )
    batches = [[numbers[i : i + 2] for i in range(0, len(numbers), 2)] for numbers in each]
    together = [
        number
        for of_all_processes in zip(*batches, strict=True)
        for batch in of_all_processes
        for number in batch
    ]
    assert together == alone


def test_resumed_run_sees_the_remaining_samples() -> None:
    whole = sample_numbers(range(5), batch=3, accumulate=2, process=1, processes=2)
    rest = sample_numbers(range(2, 5), batch=3, accumulate=2, process=1, processes=2)
    assert rest == whole[12:]


def test_workers_prepare_the_same_samples_in_the_same_order(make: Make) -> None:
    numbers = [4, 0, 7, 2, 2, 9]
    here = list(read_samples(dataset_of(make()), numbers, workers=0))
    by_workers = list(read_samples(dataset_of(make()), numbers, workers=2))
    assert [sample.name for sample in by_workers] == [sample.name for sample in here]
    for sample, other in zip(here, by_workers, strict=True):
        assert np.array_equal(sample.pixels, other.pixels)
        assert np.array_equal(sample.mask, other.mask)
        assert torch.equal(sample.prompts.points, other.prompts.points)


@pytest.mark.parametrize("workers", [0, 1])
def test_failing_sample_raises_with_its_file_name(
    make: Make, write_eyes: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    settings = make(data=[{"root": str(write_eyes(tmp_path / "eyes"))}])
    broken = Path(samples_of(settings, 2)[0].name)
    broken.write_bytes(b"no picture")
    samples = []
    with pytest.raises(ImageError, match=str(broken)):
        samples.extend(read_samples(dataset_of(settings), range(6), workers=workers))


def test_batch_has_the_format_of_the_network(make: Make) -> None:
    samples = samples_of(make(), 0, 1, 2)
    batch = collate(samples, CPU)
    assert torch.equal(batch.images, normalize(np.stack([sample.pixels for sample in samples])))
    assert (batch.target.shape, batch.target.dtype) == ((3, 1, 128, 128), torch.bool)
    assert (batch.valid.shape, batch.valid.dtype) == ((3, 1, 128, 128), torch.bool)
    for number, sample in enumerate(samples):
        assert np.array_equal(batch.target[number, 0].numpy(), sample.mask)
        assert np.array_equal(batch.valid[number, 0].numpy(), sample.valid)
        assert torch.equal(batch.prompts[number].points, sample.prompts.points)


def test_the_eight_turns_differ_and_masks_follow_them(make: Make) -> None:
    square = torch.arange(9.0).view(1, 3, 3)
    every = [turned(square, turn) for turn in range(8)]
    assert len({tuple(map(float, other.flatten())) for other in every}) == 8
    assert torch.equal(every[0], square)
    (sample,) = samples_of(make(), 0)
    batch = collate([replace(sample, turn=turn) for turn in range(8)], CPU)
    for turn in range(8):
        for plane, found in ((sample.mask, batch.target), (sample.valid, batch.valid)):
            assert torch.equal(found[turn, 0], turned(torch.from_numpy(plane), turn))


def test_features_replace_images(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = samples_of(make(), 0)
    features = ImageEmbedding(*(torch.zeros(1, 2, 2, 2) for _ in range(3)))
    monkeypatch.setattr(
        "sam2lora.training.data_loader.images_of", lambda *_: pytest.fail("images were prepared")
    )
    assert collate(samples, CPU, features=features).images is features


def test_images_keep_their_order(make: Make) -> None:
    samples = samples_of(make(), 0, 1, 2)
    together = images_of(samples, CPU)
    assert torch.equal(together.flip(0), images_of(samples[::-1], CPU))
    assert not torch.equal(together[0], together[1])
