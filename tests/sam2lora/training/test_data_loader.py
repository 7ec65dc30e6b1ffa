"""Batches: who sees which sample, prepared here or elsewhere, and what the network is given."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sam2lora.errors import ImageError
from sam2lora.models.sam2_image_model import ImageEmbedding, normalize
from sam2lora.training.data_loader import collate, images_of, read_samples, sample_numbers
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import TrainingDataset
from sam2lora.training.settings import TrainSettings

Make = Callable[..., TrainSettings]

CPU = torch.device("cpu")


def samples_of(settings: TrainSettings) -> TrainingDataset:
    return TrainingDataset(plan_data(settings).groups, settings, size=128, mask_size=32)


def test_one_process_sees_the_samples_in_order() -> None:
    found = sample_numbers(range(3), batch=2, accumulate=2, process=0, processes=1)
    assert found == list(range(12))


@pytest.mark.parametrize(("processes", "accumulate"), [(2, 1), (2, 3), (4, 2)])
def test_processes_see_together_what_one_with_larger_batches_sees(
    processes: int, accumulate: int
) -> None:
    each = [
        sample_numbers(range(3), batch=2, accumulate=accumulate, process=one, processes=processes)
        for one in range(processes)
    ]
    alone = sample_numbers(
        range(3), batch=2 * processes, accumulate=accumulate, process=0, processes=1
    )
    parts = [[mine[at : at + 2] for at in range(0, len(mine), 2)] for mine in each]
    together = [number for of_all in zip(*parts, strict=True) for part in of_all for number in part]
    assert together == alone


def test_a_resumed_run_sees_what_is_left() -> None:
    whole = sample_numbers(range(5), batch=3, accumulate=2, process=1, processes=2)
    rest = sample_numbers(range(2, 5), batch=3, accumulate=2, process=1, processes=2)
    assert rest == whole[12:]


def test_other_processes_prepare_the_same_samples_in_the_same_order(make: Make) -> None:
    numbers = [4, 0, 7, 2, 2, 9]
    here = list(read_samples(samples_of(make()), numbers, workers=0))
    elsewhere = list(read_samples(samples_of(make()), numbers, workers=2))
    assert [one.name for one in elsewhere] == [one.name for one in here]
    for one, other in zip(here, elsewhere, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.mask, other.mask)
        assert torch.equal(one.prompts.points, other.prompts.points)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_sample_that_fails_stops_with_its_file_name(
    make: Make, write_eyes: Callable[..., Path], tmp_path: Path, workers: int
) -> None:
    settings = make(data=[{"root": str(write_eyes(tmp_path / "eyes"))}])
    broken = Path(samples_of(settings).draw(2).name)
    broken.write_bytes(b"no picture")
    given = []
    with pytest.raises(ImageError, match=str(broken)):
        given.extend(read_samples(samples_of(settings), range(6), workers=workers))


def test_a_batch_is_what_the_network_takes(make: Make) -> None:
    drawn = [samples_of(make()).draw(number) for number in range(3)]
    batch = collate(drawn, CPU)
    assert torch.equal(batch.images, normalize(np.stack([one.pixels for one in drawn])))
    assert (batch.target.shape, batch.target.dtype) == ((3, 1, 128, 128), torch.bool)
    assert (batch.valid.shape, batch.valid.dtype) == ((3, 1, 128, 128), torch.bool)
    for number, sample in enumerate(drawn):
        assert np.array_equal(batch.target[number, 0].numpy(), sample.mask)
        assert np.array_equal(batch.valid[number, 0].numpy(), sample.valid)
        assert torch.equal(batch.prompts[number].points, sample.prompts.points)


def test_features_take_the_place_of_images(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [samples_of(make()).draw(0)]
    features = ImageEmbedding(*(torch.zeros(1, 2, 2, 2) for _ in range(3)))
    monkeypatch.setattr("sam2lora.training.data_loader.images_of", lambda *_: pytest.fail("made"))
    assert collate(drawn, CPU, features=features).images is features


def test_images_keep_their_order(make: Make) -> None:
    drawn = [samples_of(make()).draw(number) for number in range(3)]
    together = images_of(drawn, CPU)
    assert torch.equal(together.flip(0), images_of(drawn[::-1], CPU))
    assert not torch.equal(together[0], together[1])
