"""`sam2lora benchmark`: what it asks, shows and writes."""

from pathlib import Path

import pytest

from sam2lora.benchmarking import rounds
from sam2lora.benchmarking.questions import QUESTIONS
from sam2lora.benchmarking.result import Result, SideResult
from sam2lora.benchmarking.writing import read_results


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Result]:
    """Answer at once, and keep what was asked."""
    answers: list[Result] = []

    def run(question, settings, *, progress):
        side = SideResult(clock=(1.0,), processor=(2.0,), before=0, peak=1 << 20)
        names = (QUESTIONS[question].peer, *QUESTIONS[question].sides)
        answers.append(
            Result(
                question=question,
                settings=settings,
                machine={"processor": "Abacus"},
                device="cpu",
                threads=1,
                sides=dict.fromkeys(names, side),
            )
        )
        return answers[-1]

    monkeypatch.setattr(rounds, "run_benchmark", run)
    return answers


def test_one_question_with_its_conditions(run_cli, asked: list[Result], tmp_path: Path):
    out = tmp_path / "out.json"
    words = ("--base", "tiny", "--rounds", 2, "--size", 300, 200, "--json", out)
    ran = run_cli("benchmark", "encode", *words)
    assert ran.code == 0
    assert "ours\t1.00 s\t1.00\t≤ 0.55" in ran.out
    assert "Abacus" in ran.out
    settings = asked[0].settings
    assert (settings.base, settings.rounds, settings.width, settings.height) == (
        "tiny",
        2,
        300,
        200,
    )
    assert read_results(out) == asked


def test_all_of_them_by_default(run_cli, asked: list[Result]):
    assert run_cli("benchmark", "--by", "processor").code == 0
    assert [one.question for one in asked] == list(QUESTIONS)


def test_an_unknown_question_is_refused_with_the_known_ones(run_cli, asked: list[Result]):
    ran = run_cli("benchmark", "encode", "luck")
    assert ran.code == 2
    assert "luck" in ran.err
    assert "quick-adapt" in ran.err
    assert not asked
