"""Rounds: sides in processes of their own, in turns; nothing is asserted about their time."""

import io
import json
import sys
from typing import ClassVar

import pytest

from sam2lora.allocator import HUGE_PAGES
from sam2lora.benchmarking import rounds
from sam2lora.benchmarking.questions import BenchmarkSettings
from sam2lora.errors import BenchmarkError


class Pretended:
    """A process that answers at once."""

    log: ClassVar[list[str]] = []
    environments: ClassVar[dict[str, dict[str, str]]] = {}
    fails = ""

    def __init__(self, words, *, env, **_) -> None:
        self.name = words[4]
        self.environments[self.name] = env
        self.stdin, self.stdout = self, self
        self.answers = ["" if self.name == self.fails else '{"threads": 1, "device": "cpu"}']

    def write(self, _: str) -> None:
        self.log.append(self.name)
        turn = {"clock": 1, "processor": 1, "before": 5, "peak": 9, "device_peak": None}
        self.answers.append(json.dumps(turn | {"clock": len(self.log)}))

    def readline(self) -> str:
        return self.answers.pop(0)

    def flush(self) -> None: ...
    def kill(self) -> None: ...
    def communicate(self) -> None: ...

    def wait(self) -> int:
        return 3


@pytest.fixture
def pretended(monkeypatch: pytest.MonkeyPatch) -> type[Pretended]:
    monkeypatch.setattr(rounds.subprocess, "Popen", Pretended)
    monkeypatch.setattr(Pretended, "log", [])
    return Pretended


def test_sides_take_turns_in_changing_order_after_one_that_does_not_count(pretended):
    done = []
    result = rounds.run_benchmark(
        "encode",
        BenchmarkSettings(base="nano", rounds=3),
        progress=lambda *how: done.append(how),
    )
    assert pretended.log == ["ours", "stock", "stock", "ours", "ours", "stock", "stock", "ours"]
    assert result.sides["stock"].clock == (3, 6, 7)
    assert result.sides["ours"].clock == (4, 5, 8)
    assert done == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_a_peer_gets_none_of_our_settings_of_memory(pretended):
    rounds.run_benchmark("encode", BenchmarkSettings(base="nano", rounds=1))
    assert pretended.environments["stock"][HUGE_PAGES] == "0"
    assert pretended.environments["ours"].get(HUGE_PAGES) != "0"


def test_a_side_that_fails_is_named(pretended, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Pretended, "fails", "ours")
    with pytest.raises(BenchmarkError, match="'ours' ended with exit code 3"):
        rounds.run_benchmark("encode", BenchmarkSettings(base="nano", rounds=1))


def test_the_worker_answers_each_line(monkeypatch: pytest.MonkeyPatch, small):
    from sam2lora.benchmarking import worker

    said, turns = [], []
    monkeypatch.setattr(worker, "SIDES", {("encode", "ours"): lambda _: lambda: turns.append(1)})
    monkeypatch.setattr(worker, "_answer", lambda stream, content: said.append(content))
    monkeypatch.setattr(worker.os, "dup", lambda _: 1)
    monkeypatch.setattr(worker.os, "fdopen", lambda *_: io.StringIO())
    monkeypatch.setattr(worker.os, "dup2", lambda *_: None)
    monkeypatch.setattr(worker, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(sys, "argv", ["worker", "encode", "ours", small.model_dump_json()])
    monkeypatch.setattr(sys, "stdin", io.StringIO("turn\nturn\n"))
    worker.main()
    assert len(said) == 3
    assert len(turns) == 2
    assert said[0]["device"] == "cpu"
    assert said[-1]["peak"] >= said[-1]["before"]


@pytest.mark.slow
def test_a_whole_question_in_real_processes(small):
    result = rounds.run_benchmark("lora-forward", small, only=["base", "merged"])
    assert list(result.sides) == ["base", "merged"]
    assert all(side.peak > 0 and len(side.clock) == 1 for side in result.sides.values())
