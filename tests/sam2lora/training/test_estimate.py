"""Estimates of time and memory before a training starts."""

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
from sam2lora.training.trainable import make_trainable

from .helpers import Make

pytestmark = pytest.mark.usefixtures("pocket")

# The peak is that of the address space: `ru_maxrss` would begin with that of the tests' process.
MEASURE = """
import re, sys
from pathlib import Path
from sam2lora.training.estimate import estimate
from sam2lora.training.settings import make_settings
settings = make_settings(
    "standard",
    {"data": [{"root": sys.argv[1]}], "batch": 6, "device": "cpu", "precision": "float32"},
)
estimated = estimate(settings).bytes
from accelerate import Accelerator
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.training.optimizer_step import OptimizerStep
from sam2lora.training.data_split import plan_data
from sam2lora.training.dataset import TrainingDataset
from sam2lora.training.trainable import make_trainable
dataset = TrainingDataset(plan_data(settings).groups, settings, size=512, mask_size=128)
model, accelerator = make_trainable(settings), Accelerator(cpu=True)
optimizer_step = OptimizerStep(model, settings, accelerator, EmbeddingCache(0))
samples = [dataset.sample(index) for index in range(6)]
optimizer_step.step(samples, number=0, rate=1e-3, batch=6)
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()).group(1)
print(estimated, int(peak) * 1024)
"""


def test_estimate_describes_weights_and_data(make: Make, eyes: Path) -> None:
    sources = [{"root": str(eyes)}, {"root": str(eyes), "include": "left"}]
    result = estimate(make(data=sources, validation={"images": 1}, steps=20, batch=2))
    # Rank 4, with 9 248 weights each, of 3.2 million.
    assert result.share.startswith("36992 of 3199249 weights are trained: 1.16 %")
    assert result.images == {"eyes disc": 6}  # includes those of the second source
    assert result.validation == 1
    assert (result.device, result.precision) == ("cpu", "float32")


def test_estimated_time_covers_the_rounds_of_corrections(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each sample is measured twice: 10 seconds without rounds, then 30 with four.
    clock = iter([0, 9, 9, 19, 19, 60, 60, 90])
    monkeypatch.setattr("sam2lora.training.estimate.time.perf_counter", lambda: next(clock))
    settings = make(steps=7, batch=1, prompts={"corrected": 0.4, "rounds": 4})
    # On average, 0.4 times 2.5 rounds, each of which takes 5 seconds.
    assert estimate(settings).seconds == pytest.approx(7 * (10 + 5))


def test_estimated_time_covers_all_samples(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("sam2lora.training.estimate.time.perf_counter", lambda: next(clock))
    assert estimate(make(steps=7, batch=2, accumulate=5)).seconds == 3 * 7 * 2 * 5


def test_memory_grows_with_batch_and_trained_weights(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = 36992

    def memory(batch: int, corrected: float = 0.5) -> int:
        # Before, with the activations of a sample, and with those of its rounds.
        usage = iter([1000, 1300, 1200, 1700, 1600])
        process = SimpleNamespace(memory_info=lambda: SimpleNamespace(rss=next(usage)))
        monkeypatch.setattr("sam2lora.training.estimate.psutil.Process", lambda: process)
        return estimate(make(batch=batch, prompts={"corrected": corrected})).bytes

    # AdamW keeps two float32 values for each weight.
    assert memory(1, 0) == 1000 + 300 + 8 * trained
    assert memory(4, 0) == 1000 + 4 * 300 + 8 * trained
    assert memory(1) == 1000 + 700 + 8 * trained
    assert memory(4) == 1000 + 4 * 300 + 2 * 400 + 8 * trained


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory from /proc")
def test_estimated_memory_matches_a_fresh_process(eyes: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", MEASURE, str(eyes)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    estimated, measured = map(int, ran.stdout.split())
    assert 0.7 < estimated / measured < 1.5


def test_estimate_writes_no_files(make: Make, tmp_path: Path, eyes: Path) -> None:
    before = sorted(eyes.rglob("*"))
    estimate(make())
    assert sorted(eyes.rglob("*")) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("preset", ["standard", "detail", "low-memory", "paper"])
def test_every_preset_can_be_estimated(make: Make, preset: str) -> None:
    assert estimate(make(preset, steps=2)).seconds > 0


def test_quick_estimate_encodes_each_window_once(
    make: Make, run_through: Callable[..., tuple], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = run_through(make(steps=1))
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr("sam2lora.training.estimate.time.perf_counter", lambda: next(clock))
    quick = make("quick", start_from=str(run.adapter(1)), lora={}, steps=50, batch=4, variants=2)
    result = estimate(quick)
    # Every sample is decoded, but only two windows of each image are encoded.
    assert result.seconds == 3 * 200 + 3 * 2 * sum(result.images.values())
    decoder = [
        tensor.numel()
        for name, tensor in make_trainable(make()).tensors().items()
        if "sam_mask_decoder" in name
    ]
    assert result.share.startswith(f"{sum(decoder)} of")


def test_model_too_large_for_the_device_is_explained(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr("sam2lora.training.prompted_model.PromptedNetwork.to", fail)
    with pytest.raises(DeviceError, match=r"one sample needs more memory.*low-memory"):
        estimate(make())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"target": "cup"}, DatasetError, "no image has a mask of cup"),
        ({"data": [{"root": "missing"}]}, DatasetError, "missing"),
        ({"freeze_encoder": True}, SettingsError, "--start-from"),
    ],
)
def test_estimate_refuses_what_training_would_refuse(
    make: Make, changes: dict, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        estimate(make(**changes))
