"""The benchmarks, their sides, and the settings of a measurement."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from sam2lora.errors import Sam2LoraError
from sam2lora.settings import PrecisionChoice, Settings


class BenchmarkError(Sam2LoraError):
    """A side of a benchmark could not be measured, or results could not be read."""


BenchmarkName = Literal["encode", "prompt", "lora-forward", "train", "quick-adapt"]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    Attributes
    ----------
    description
        What is measured, and against what.
    peer
        The side that is the reference of all ratios.
    sides
        The other sides.
    time, memory
        Largest acceptable ratio, by side; sides without an aim are missing.
    """

    description: str
    peer: str
    sides: tuple[str, ...]
    time: Mapping[str, float]
    memory: Mapping[str, float]


BENCHMARKS: Mapping[BenchmarkName, Benchmark] = MappingProxyType(
    {
        "encode": Benchmark(
            "encode one image, LoRA merged, against SAM2ImagePredictor.set_image",
            "stock",
            ("ours",),
            {"ours": 0.55},
            {},
        ),
        "prompt": Benchmark(
            "a click to a mask once encoded, against SAM2ImagePredictor.predict",
            "stock",
            ("ours",),
            {"ours": 1.0},
            {},
        ),
        "lora-forward": Benchmark(
            "an image and a click, LoRA merged or not, against the base without LoRA",
            "base",
            ("merged", "not merged"),
            {"merged": 1.02, "not merged": 1.15},
            {},
        ),
        "train": Benchmark(
            "one training step, against a plain float32 loop of stock SAM 2 modules with PEFT",
            "plain",
            ("standard", "low-memory"),
            {"standard": 0.45, "low-memory": 1.0},
            {"low-memory": 0.6},
        ),
        "quick-adapt": Benchmark(
            "an epoch of quick adapt on cached embeddings, against encoding every time",
            "encoding",
            ("kept",),
            {"kept": 0.10},
            {},
        ),
    }
)
"""The benchmarks by name."""

PEERS = ("stock", "plain")
"""Sides that run without this project's memory settings."""


class BenchmarkSettings(Settings):
    """The settings of a measurement, the same for all sides."""

    base: str = Field(
        default="tiny", description="base model; random weights if it would be downloaded"
    )
    rounds: int = Field(default=5, ge=1, le=1000, description="number of turns of each side")
    device: str = Field(default="auto", description="auto, cpu, cuda or mps")
    precision: PrecisionChoice = Field(
        default="auto",
        description="precision of this project's sides; the peers compute in float32",
    )
    threads: int | None = Field(
        default=None, ge=1, le=1024, description="threads of each side; None: torch's default"
    )
    width: int = Field(default=1444, ge=64, le=20_000, description="width of the image in pixels")
    height: int = Field(default=1444, ge=64, le=20_000, description="height of the image in pixels")
    rank: int = Field(default=16, ge=1, le=1024, description="rank of LoRA")
    batch: int = Field(default=1, ge=1, le=64, description="images in a training step")
    images: int = Field(default=20, ge=1, le=1000, description="images in an epoch of quick adapt")
