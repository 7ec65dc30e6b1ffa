"""Results of a benchmark: turns of each side, medians and ratios, as JSON and as a table."""

import json
import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import psutil
from pydantic import JsonValue, ValidationError

from benchmarks.speed.definitions import (
    BENCHMARKS,
    BenchmarkError,
    BenchmarkName,
    BenchmarkSettings,
)
from sam2lora.adapters.card import library_versions
from sam2lora.settings import Settings
from sam2lora.utils.files import atomic_path

By = Literal["clock", "processor"]

HEADER = ("benchmark", "side", "time", "ratio", "aim", "memory", "ratio", "aim")
"""Columns of `BenchmarkResult.rows`."""


class SideResult(Settings):
    """The turns of one side.

    Attributes
    ----------
    clock, processor
        Seconds of each turn: elapsed time, and processor time.
    before
        Bytes of the process before its first turn.
    peak
        Peak bytes of the process, including libraries and building the model.
    device_peak
        Peak bytes allocated on a GPU.
    """

    clock: tuple[float, ...]
    processor: tuple[float, ...]
    before: int
    peak: int
    device_peak: int | None = None

    def seconds(self, by: By) -> float:
        """Return the median time of a turn."""
        return float(statistics.median(self.clock if by == "clock" else self.processor))

    @property
    def memory(self) -> int:
        """Peak memory in bytes: that of the GPU if there is one."""
        return self.peak if self.device_peak is None else self.device_peak


class BenchmarkResult(Settings):
    """The result of a benchmark.

    Attributes
    ----------
    question
        Name of the benchmark.
    settings
        The settings of the measurement.
    machine
        From `describe_machine`.
    device, threads
        Device and number of threads of the sides.
    sides
        Turns by side, the peer first.
    """

    question: BenchmarkName
    settings: BenchmarkSettings
    machine: dict[str, JsonValue]
    device: str
    threads: int
    sides: dict[str, SideResult]

    def ratio(self, side: str, by: By) -> float:
        """Return the median over the rounds of a side's time over the peer's in the same round."""
        peer = self.sides[BENCHMARKS[self.question].peer]
        turns = (
            result.clock if by == "clock" else result.processor
            for result in (self.sides[side], peer)
        )
        ratios = [seconds / reference for seconds, reference in zip(*turns, strict=True)]
        return float(statistics.median(ratios))

    def memory_ratio(self, side: str) -> float:
        """Return a side's peak memory over the peer's."""
        return self.sides[side].memory / self.sides[BENCHMARKS[self.question].peer].memory

    def rows(self, by: By) -> list[tuple[str, ...]]:
        """Return the cells of a table, one row for each side; see `HEADER`."""
        benchmark = BENCHMARKS[self.question]
        rows: list[tuple[str, ...]] = []
        for name, side in self.sides.items():
            compared = name != benchmark.peer
            rows.append(
                (
                    f"{self.question}, {self.settings.base}",
                    name,
                    _duration(side.seconds(by)),
                    f"{self.ratio(name, by):.2f}" if compared else "",
                    _aim(benchmark.time, name),
                    f"{side.memory / 2**20:.0f} MiB",
                    f"{self.memory_ratio(name):.2f}" if compared else "",
                    _aim(benchmark.memory, name),
                )
            )
        return rows

    def conditions(self, by: By) -> str:
        """Describe machine and settings in one line."""
        machine, settings = self.machine, self.settings
        versions = machine.get("versions")
        libraries = (
            ", ".join(f"{name} {version}" for name, version in versions.items())
            if isinstance(versions, dict)
            else ""
        )
        return (
            f"{machine.get('processor')}, {machine.get('cores')} cores, "
            f"{machine.get('memory_gib')} GiB, load {machine.get('load')}; {self.device}, "
            f"{self.threads} threads; image {settings.width} x {settings.height}, "
            f"rank {settings.rank}, batch {settings.batch}, {settings.images} images; "
            f"medians of {settings.rounds} rounds by the {by}; {libraries}"
        )


def markdown(results: list[BenchmarkResult], by: By) -> str:
    """Return a Markdown table of several results, with the conditions of each below."""
    rows = [row for result in results for row in result.rows(by)]
    lines = [
        "| " + " | ".join(HEADER) + " |",
        "|" + "---|" * len(HEADER),
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *dict.fromkeys(f"{result.conditions(by)}." for result in results),
    ]
    return "\n".join(lines) + "\n"


def _duration(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def _aim(aims: Mapping[str, float], side: str) -> str:
    return f"≤ {aims[side]:.2f}" if side in aims else ""


def describe_machine() -> dict[str, JsonValue]:
    """Return processor, memory, load and versions."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "load": load if load is None else round(load, 1),
        "python": platform.python_version(),
        "versions": dict(library_versions()),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"model name\s*:\s*(.+)", info.read_text(encoding="utf-8"))
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def write_results(path: Path, results: Sequence[BenchmarkResult]) -> None:
    """Write results as JSON, whole or not at all.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    content = [result.model_dump(mode="json") for result in results]
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_results(path: Path) -> list[BenchmarkResult]:
    """Read results from `write_results`.

    Raises
    ------
    BenchmarkError
        If the file is missing or has other content.
    """
    try:
        content = json.loads(path.read_bytes())
        return [BenchmarkResult.model_validate(result) for result in content]
    except (OSError, ValueError, TypeError, ValidationError) as error:
        raise BenchmarkError(f"{path}: cannot be read as results ({error}).") from error
