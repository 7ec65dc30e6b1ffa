"""What came out: turns of each side, medians and ratios, as JSON and as rows of a table."""

import statistics
from collections.abc import Mapping
from typing import Literal

from pydantic import JsonValue

from sam2lora.benchmarking.questions import QUESTIONS, BenchmarkSettings, QuestionName
from sam2lora.settings import Settings

By = Literal["clock", "processor"]

HEADER = ("question", "side", "time", "ratio", "aim", "memory", "ratio", "aim")
"""Columns of `Result.rows`."""


class SideResult(Settings):
    """The turns of one side.

    Attributes
    ----------
    clock, processor
        Seconds of each turn, by the clock and by the processor.
    before
        Bytes the process had before its first turn.
    peak
        Most bytes it has had, the libraries and the making of the model included.
    device_peak
        Most bytes taken on a GPU.
    """

    clock: tuple[float, ...]
    processor: tuple[float, ...]
    before: int
    peak: int
    device_peak: int | None = None

    def seconds(self, by: By) -> float:
        """Give the median turn."""
        return float(statistics.median(self.clock if by == "clock" else self.processor))

    @property
    def memory(self) -> int:
        """The peak that counts: the GPU's where there is one."""
        return self.peak if self.device_peak is None else self.device_peak


class Result(Settings):
    """The answer to a question.

    Attributes
    ----------
    machine
        From `machine.describe_machine`.
    device, threads
        What the sides computed on.
    sides
        By name, the peer first.
    """

    question: QuestionName
    settings: BenchmarkSettings
    machine: dict[str, JsonValue]
    device: str
    threads: int
    sides: dict[str, SideResult]

    def ratio(self, side: str, by: By) -> float:
        """Give the median over the rounds of a side's time over the peer's in the same round."""
        peer = self.sides[QUESTIONS[self.question].peer]
        own = self.sides[side]
        turns = (one.clock if by == "clock" else one.processor for one in (own, peer))
        ratios = [mine / other for mine, other in zip(*turns, strict=True)]
        return float(statistics.median(ratios))

    def memory_ratio(self, side: str) -> float:
        """Give a side's peak memory over the peer's."""
        return self.sides[side].memory / self.sides[QUESTIONS[self.question].peer].memory

    def rows(self, by: By) -> list[tuple[str, ...]]:
        """Give the cells of a table, a row for each side; see `HEADER`."""
        question = QUESTIONS[self.question]
        rows: list[tuple[str, ...]] = []
        for name, side in self.sides.items():
            own = name != question.peer
            rows.append(
                (
                    f"{self.question}, {self.settings.base}",
                    name,
                    _duration(side.seconds(by)),
                    f"{self.ratio(name, by):.2f}" if own else "",
                    _aim(question.time, name),
                    f"{side.memory / 2**20:.0f} MiB",
                    f"{self.memory_ratio(name):.2f}" if own else "",
                    _aim(question.memory, name),
                )
            )
        return rows

    def conditions(self, by: By) -> str:
        """Say in one line on what and how it was measured."""
        machine, asked = self.machine, self.settings
        versions = machine.get("versions")
        libraries = (
            ", ".join(f"{name} {version}" for name, version in versions.items())
            if isinstance(versions, dict)
            else ""
        )
        return (
            f"{machine.get('processor')}, {machine.get('cores')} cores, "
            f"{machine.get('memory_gib')} GiB, load {machine.get('load')}; {self.device}, "
            f"{self.threads} threads; image {asked.width} x {asked.height}, rank {asked.rank}, "
            f"batch {asked.batch}, {asked.images} images; medians of {asked.rounds} rounds by the "
            f"{by}; {libraries}"
        )


def markdown(results: list[Result], by: By) -> str:
    """Write a table of several answers, with the conditions of each below."""
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
