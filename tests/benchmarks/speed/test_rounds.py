"""Rounds: sides in processes of their own, in turns; nothing is asserted about their time."""

import json
from typing import ClassVar

import pytest

from benchmarks.speed import rounds
from benchmarks.speed.definitions import BenchmarkError, BenchmarkSettings
from sam2lora.compute.allocator import HUGE_PAGES


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


@pytest.mark.slow
def test_a_whole_question_in_real_processes(small):
    result = rounds.run_benchmark("lora-forward", small, only=["base", "merged"])
    assert list(result.sides) == ["base", "merged"]
    assert all(side.peak > 0 and len(side.clock) == 1 for side in result.sides.values())
