"""What a training will do, before it starts."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sam2lora.errors import DatasetError, DeviceError, SettingsError
from sam2lora.training.estimate import estimate
from sam2lora.training.settings import TrainSettings
from sam2lora.training.trainable import make_trainable

Make = Callable[..., TrainSettings]

pytestmark = pytest.mark.usefixtures("pocket")

MEASURE = """
import resource, sys
from sam2lora.training.estimate import estimate
from sam2lora.training.settings import make_settings
settings = make_settings(
    "standard",
    {"data": [{"root": sys.argv[1]}], "batch": 6, "device": "cpu", "precision": "float32"},
)
said = estimate(settings).bytes
from accelerate import Accelerator
from sam2lora.inference.embedding_cache import FeatureCache
from sam2lora.training.optimizer_step import Stepper
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import Samples
from sam2lora.training.trainable import make_trainee
samples = Samples(plan_data(settings).groups, settings, size=512, mask_size=128)
stepper = Stepper(make_trainee(settings), settings, Accelerator(cpu=True), FeatureCache(0))
drawn = [samples.draw(number) for number in range(6)]
stepper.step(drawn, number=0, rate=1e-3, batch=6)
print(said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_it_says_what_is_trained_on_what(make: Make, eyes: Path) -> None:
    sources = [{"root": str(eyes)}, {"root": str(eyes), "include": "left"}]
    found = estimate(make(data=sources, validation={"images": 1}, steps=20, batch=2))
    # Rank 4 of 9 248 weights each, of 3.2 million.
    assert found.share.startswith("36992 of 3199249 weights are trained: 1.16 %")
    assert found.images == {"eyes disc": 6}  # those of the second source are among them
    assert found.validation == 1
    assert (found.device, found.precision) == ("cpu", "float32")


def test_time_is_that_of_all_samples(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("sam2lora.training.estimate.time.perf_counter", lambda: next(clock))
    assert estimate(make(steps=7, batch=2, accumulate=5)).seconds == 3 * 7 * 2 * 5


def test_memory_grows_with_the_batch_and_with_what_is_trained(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = 36992

    def memory(batch: int) -> int:
        held = iter([1000, 1300, 1200])  # before, and while a sample's activations are held
        process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=next(held)))
        monkeypatch.setattr("sam2lora.training.estimate.psutil.Process", lambda: process)
        return estimate(make(batch=batch)).bytes

    # AdamW keeps two float32 numbers for each weight.
    assert memory(1) == 1000 + 300 + 8 * trained
    assert memory(4) == 1000 + 4 * 300 + 8 * trained


@pytest.mark.slow
def test_the_memory_of_a_fresh_process_is_about_what_it_says(eyes: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(eyes)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    said, most = map(int, ran.stdout.split())
    assert 0.7 < said / most < 1.5


def test_it_leaves_no_trace(make: Make, tmp_path: Path, eyes: Path) -> None:
    before = sorted(eyes.rglob("*"))
    estimate(make())
    assert sorted(eyes.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", ["standard", "low-memory", "paper"])
def test_every_preset_can_be_reckoned(make: Make, preset: str) -> None:
    assert estimate(make(preset, steps=2)).seconds > 0


def test_quick_is_reckoned_with_a_frozen_encoder(
    make: Make, run_through: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_through(make(steps=1))
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("sam2lora.training.estimate.time.perf_counter", lambda: next(clock))
    quick = make("quick", start_from=str(run.adapter(1)), lora={}, steps=50, batch=4, variants=2)
    found = estimate(quick)
    # Each sample is decoded anew; of each image, two windows are encoded.
    assert found.seconds == 3 * 200 + 3 * 2 * sum(found.images.values())
    decoder = [
        tensor.numel()
        for name, tensor in make_trainable(make()).tensors().items()
        if "sam_mask_decoder" in name
    ]
    assert found.share.startswith(f"{sum(decoder)} of")


def test_a_device_too_small_for_the_model_is_said(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("sam2lora.training.prompted_model.PromptedNetwork.to", fail)
    with pytest.raises(DeviceError, match=r"one sample needs more memory.*low-memory"):
        estimate(make())


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"target": "cup"}, DatasetError, "no masks of cup"),
        ({"data": [{"root": "missing"}]}, DatasetError, "missing"),
        ({"freeze_encoder": True}, SettingsError, "--start-from"),
    ],
)
def test_it_refuses_what_the_training_would(
    make: Make, changes: dict, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        estimate(make(**changes))
