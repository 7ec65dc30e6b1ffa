"""`python -m benchmarks.speed`: what it asks, shows and writes."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.speed import __main__ as command
from benchmarks.speed.definitions import BENCHMARKS
from benchmarks.speed.result import BenchmarkResult, SideResult, read_results


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[BenchmarkResult]:
    """Answer at once, and keep what was asked."""
    answers: list[BenchmarkResult] = []

    def run(question, settings, *, progress):
        side = SideResult(clock=(1.0,), processor=(2.0,), before=0, peak=1 << 20)
        names = (BENCHMARKS[question].peer, *BENCHMARKS[question].sides)
        answers.append(
            BenchmarkResult(
                question=question,
                settings=settings,
                machine={"processor": "Abacus"},
                device="cpu",
                threads=1,
                sides=dict.fromkeys(names, side),
            )
        )
        return answers[-1]

    monkeypatch.setattr(command, "run_benchmark", run)
    return answers


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process; gives exit code, output and errors."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["speed", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            command.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


def test_one_question_with_its_conditions(run, asked: list[BenchmarkResult], tmp_path: Path):
    out = tmp_path / "out.json"
    words = ("--base", "tiny", "--rounds", 2, "--size", 300, 200, "--json", out)
    code, printed, _ = run("encode", *words)
    assert code == 0
    assert "ours\t1.00 s\t1.00\t≤ 0.55" in printed
    assert "Abacus" in printed
    settings = asked[0].settings
    assert (settings.base, settings.rounds, settings.width, settings.height) == (
        "tiny",
        2,
        300,
        200,
    )
    assert read_results(out) == asked


def test_all_of_them_by_default(run, asked: list[BenchmarkResult]):
    assert run("--by", "processor")[0] == 0
    assert [one.question for one in asked] == list(BENCHMARKS)


def test_an_unknown_question_is_refused_with_the_known_ones(run, asked: list[BenchmarkResult]):
    code, _, printed = run("encode", "luck")
    assert code == 2
    assert "luck" in printed
    assert "quick-adapt" in printed
    assert not asked
