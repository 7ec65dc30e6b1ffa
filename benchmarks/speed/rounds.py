"""Run a benchmark: its sides take turns, each in its own process."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.speed.definitions import (
    BENCHMARKS,
    PEERS,
    BenchmarkError,
    BenchmarkName,
    BenchmarkSettings,
)
from benchmarks.speed.result import BenchmarkResult, SideResult, describe_machine
from sam2lora.compute.allocator import HUGE_PAGES

Progress = Callable[[int, int], None]

ROOT = Path(__file__).resolve().parents[2]


def run_benchmark(
    name: BenchmarkName,
    settings: BenchmarkSettings,
    *,
    only: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """Run a benchmark.

    Each side is prepared and takes one turn that is not counted; then they take turns, in an order
    that is reversed every round.

    Parameters
    ----------
    name
        Key of `BENCHMARKS`.
    settings
        The settings of the measurement.
    only
        Sides to measure; by default all sides of the benchmark.
    progress
        Called with the number of rounds done so far and their total.

    Raises
    ------
    BenchmarkError
        If a side fails; its output is on the standard error.
    """
    from benchmarks.speed.material import usable_base

    benchmark = BENCHMARKS[name]
    selected = tuple(only or (benchmark.peer, *benchmark.sides))
    machine = describe_machine()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        base = usable_base(settings.base, Path(folder))
        prepared = settings.model_copy(update={"base": base})
        sides = {side: stack.enter_context(_side(name, side, prepared)) for side in selected}
        ready = {side: process.read() for side, process in sides.items()}
        turns: dict[str, list[dict[str, Any]]] = {side: [] for side in selected}
        for number in range(settings.rounds + 1):
            for side in selected if number % 2 else reversed(selected):
                turn = sides[side].turn()
                if number:
                    turns[side].append(turn)
            if progress:
                progress(number, settings.rounds)
    return BenchmarkResult(
        question=name,
        settings=settings,
        machine=machine,
        device=ready[selected[0]]["device"],
        threads=ready[selected[0]]["threads"],
        sides={side: _side_result(turns[side]) for side in selected},
    )


class _Side:
    """The process of one side."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self._name, self._process = name, process

    def turn(self) -> dict[str, Any]:
        """Take one turn and return its measurements."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("turn\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        return self.read()

    def read(self) -> dict[str, Any]:
        """Wait for the next JSON line of the process."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        content: dict[str, Any] = json.loads(line)
        return content

    def _ended(self) -> BenchmarkError:
        code = self._process.wait()
        return BenchmarkError(
            f"The side {self._name!r} ended with exit code {code}; see its output above."
        )


@contextmanager
def _side(benchmark: str, name: str, settings: BenchmarkSettings) -> Iterator[_Side]:
    command = [sys.executable, "-m", "benchmarks.speed.worker", benchmark, name]
    environment = dict(os.environ)
    if name in PEERS:
        environment[HUGE_PAGES] = "0"
    process = subprocess.Popen(
        [*command, settings.model_dump_json()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    try:
        yield _Side(name, process)
    finally:
        process.kill()
        process.communicate()


def _side_result(turns: Sequence[dict[str, Any]]) -> SideResult:
    return SideResult(
        clock=tuple(turn["clock"] for turn in turns),
        processor=tuple(turn["processor"] for turn in turns),
        before=turns[0]["before"],
        peak=turns[-1]["peak"],
        device_peak=turns[-1]["device_peak"],
    )
