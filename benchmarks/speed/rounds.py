"""Let the sides of a question take turns, each in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.speed.questions import (
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
    question: BenchmarkName,
    settings: BenchmarkSettings,
    *,
    only: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> BenchmarkResult:
    """Answer a question.

    Each side is made ready and takes one turn that does not count; then they take turns, in an
    order that is turned around every round.

    Parameters
    ----------
    question
        One of `BENCHMARKS`.
    settings
        The conditions.
    only
        Sides to measure; by default all of the question's.
    progress
        Called with (rounds done, rounds in all).

    Raises
    ------
    BenchmarkError
        If a side fails; what it said is on the standard error.
    """
    from benchmarks.speed.material import usable_base

    asked = BENCHMARKS[question]
    names = tuple(only or (asked.peer, *asked.sides))
    machine = describe_machine()
    with TemporaryDirectory() as folder, ExitStack() as stack:
        base = usable_base(settings.base, Path(folder))
        prepared = settings.model_copy(update={"base": base})
        sides = {name: stack.enter_context(_side(question, name, prepared)) for name in names}
        ready = {name: side.answer() for name, side in sides.items()}
        turns: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
        for number in range(settings.rounds + 1):
            for name in names if number % 2 else reversed(names):
                turn = sides[name].turn()
                if number:
                    turns[name].append(turn)
            if progress:
                progress(number, settings.rounds)
    return BenchmarkResult(
        question=question,
        settings=settings,
        machine=machine,
        device=ready[names[0]]["device"],
        threads=ready[names[0]]["threads"],
        sides={name: _side_result(turns[name]) for name in names},
    )


class _Side:
    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self._name, self._process = name, process

    def turn(self) -> dict[str, Any]:
        """Let it take one turn."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("turn\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._ended() from error
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """Wait for its answer."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._ended()
        content: dict[str, Any] = json.loads(line)
        return content

    def _ended(self) -> BenchmarkError:
        code = self._process.wait()
        return BenchmarkError(
            f"The side {self._name!r} ended with exit code {code}; what it said stands above."
        )


@contextmanager
def _side(question: str, name: str, settings: BenchmarkSettings) -> Iterator[_Side]:
    words = [sys.executable, "-m", "benchmarks.speed.worker", question, name]
    environment = dict(os.environ)
    if name in PEERS:
        environment[HUGE_PAGES] = "0"
    process = subprocess.Popen(
        [*words, settings.model_dump_json()],
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
