"""`python -m benchmarks.speed`: the benchmarks it runs, its output and its JSON."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.speed import __main__ as command
from benchmarks.speed.definitions import BENCHMARKS
from benchmarks.speed.result import BenchmarkResult, SideResult, read_results


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch) -> list[BenchmarkResult]:
    """Replace the measurement by constant results; return the results so far."""
    results: list[BenchmarkResult] = []

    def run(name, settings, *, progress):
        side = SideResult(clock=(1.0,), processor=(2.0,), before=0, peak=1 << 20)
        names = (BENCHMARKS[name].peer, *BENCHMARKS[name].sides)
        results.append(
            BenchmarkResult(
                question=name,
                settings=settings,
                machine={"processor": "Abacus"},
                device="cpu",
                threads=1,
                sides=dict.fromkeys(names, side),
            )
        )
        return results[-1]

    monkeypatch.setattr(command, "run_benchmark", run)
    return results


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs the command; it returns exit code, output and errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["speed", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_one_benchmark_is_printed_and_written(run, measured: list[BenchmarkResult], tmp_path: Path):
    out = tmp_path / "out.json"
    options = ("--base", "tiny", "--rounds", 2, "--size", 300, 200, "--json", out)
    code, printed, _ = run("encode", *options)
    assert code == 0
    assert "ours\t1.00 s\t1.00\t≤ 0.55" in printed
    assert "Abacus" in printed
    settings = measured[0].settings
    assert (settings.base, settings.rounds, settings.width, settings.height) == (
        "tiny",
        2,
        300,
        200,
    )
    assert read_results(out) == measured


def test_all_benchmarks_run_by_default(run, measured: list[BenchmarkResult]):
    assert run("--by", "processor")[0] == 0
    assert [result.question for result in measured] == list(BENCHMARKS)


def test_unknown_benchmark_is_refused_with_the_known_ones(run, measured: list[BenchmarkResult]):
    code, _, printed = run("encode", "luck")
    assert code == 2
    assert "luck" in printed
    assert "quick-adapt" in printed
    assert not measured
