"""Sides take turns in their own processes; nothing is asserted about their time."""

import json
from typing import ClassVar

import pytest

from benchmarks.speed import rounds
from benchmarks.speed.definitions import BenchmarkError, BenchmarkSettings
from sam2lora.compute.allocator import HUGE_PAGES


class FakeProcess:
    """A process of a side that returns results at once."""

    log: ClassVar[list[str]] = []
    environments: ClassVar[dict[str, dict[str, str]]] = {}
    fails = ""

    def __init__(self, command, *, env, **_) -> None:
        self.name = command[4]
        self.environments[self.name] = env
        self.stdin, self.stdout = self, self
        self.lines = ["" if self.name == self.fails else '{"threads": 1, "device": "cpu"}']

    def write(self, _: str) -> None:
        self.log.append(self.name)
        turn = {"clock": 1, "processor": 1, "before": 5, "peak": 9, "device_peak": None}
        self.lines.append(json.dumps(turn | {"clock": len(self.log)}))

    def readline(self) -> str:
        return self.lines.pop(0)

    def flush(self) -> None: ...
    def kill(self) -> None: ...
    def communicate(self) -> None: ...

    def wait(self) -> int:
        return 3


@pytest.fixture
def fake_process(monkeypatch: pytest.MonkeyPatch) -> type[FakeProcess]:
    monkeypatch.setattr(rounds.subprocess, "Popen", FakeProcess)
    monkeypatch.setattr(FakeProcess, "log", [])
    return FakeProcess


def test_sides_take_turns_in_alternating_order_after_a_warm_up(fake_process):
    done = []
    result = rounds.run_benchmark(
        "encode",
        BenchmarkSettings(base="nano", rounds=3),
        progress=lambda *counts: done.append(counts),
    )
    assert fake_process.log == ["ours", "stock", "stock", "ours", "ours", "stock", "stock", "ours"]
    assert result.sides["stock"].clock == (3, 6, 7)
    assert result.sides["ours"].clock == (4, 5, 8)
    assert done == [(0, 3), (1, 3), (2, 3), (3, 3)]


def test_peer_runs_without_our_memory_settings(fake_process):
    rounds.run_benchmark("encode", BenchmarkSettings(base="nano", rounds=1))
    assert fake_process.environments["stock"][HUGE_PAGES] == "0"
    assert fake_process.environments["ours"].get(HUGE_PAGES) != "0"


def test_failed_side_is_named(fake_process, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(FakeProcess, "fails", "ours")
    with pytest.raises(BenchmarkError, match="'ours' ended with exit code 3"):
        rounds.run_benchmark("encode", BenchmarkSettings(base="nano", rounds=1))


@pytest.mark.slow
def test_benchmark_runs_in_real_processes(small):
    result = rounds.run_benchmark("lora-forward", small, only=["base", "merged"])
    assert list(result.sides) == ["base", "merged"]
    assert all(side.peak > 0 and len(side.clock) == 1 for side in result.sides.values())
