"""`report.md`: one table per regime with published figures, nothing averaged over regimes."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from sam2lora.evaluation import EvaluateSettings, Report, network_candidate, plan_parts
from sam2lora.evaluation.report.markdown import describe_regime, report_text, table
from sam2lora.evaluation.report.writer import write_report
from sam2lora.prompts.sampling import REGIMES
from sam2lora.targets import TARGETS

from ..conftest import INSIDE, always, make_case, square


@pytest.fixture
def report(write_chase, write_set, make_adapter, tmp_path: Path, no_pictures: None) -> Report:
    """Write a report of two models on two datasets, one with published figures, in two regimes."""
    settings = EvaluateSettings(target="vessel", regimes=("none", "5p1n"), seed=5)
    chase = write_chase({f"Image_0{number}L": (square(20, 20, 16),) for number in (1, 2)})
    mine = write_set("my|set", {"a": make_case("a")}, target="vessel")
    parts = plan_parts([chase, mine], settings)
    learned = {"images": {"CHASE_DB1 vessel": 16}}
    adapter = make_adapter("mine-v1", target=TARGETS["vessel"], data=learned)
    candidates = [
        network_candidate(always(square(24, 20, 16)), settings, adapter),
        network_candidate(always(INSIDE), settings),
    ]
    return write_report(tmp_path / "out", candidates, parts, settings, command="sam2lora e")


def rows(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the last table under a heading."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0].strip().split("\n\n")[-1]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def test_each_regime_has_its_own_table(report: Report) -> None:
    text = report_text(report)
    first = rows(text, "No prompt (none)")
    second = rows(text, "5 points, 1 point off the target (5p1n)")
    for found in (first, second):
        assert found[0][:3] == ["dataset", "model", "Dice"]
        assert len({len(row) for row in found}) == 1
    assert first[2][:3] == ["CHASE_DB1", "mine-v1 †", "0.750 ± 0.000"]
    assert "average" not in text.lower().replace("averaged", "").replace("averaging", "")


def test_published_figures_are_listed_with_their_dataset(report: Report) -> None:
    text = report_text(report)
    published = [row for row in rows(text, "No prompt (none)") if row[1].startswith("*")]
    assert {row[0] for row in published} == {"CHASE_DB1"}
    assert [row[2] for row in published if "second human grader" in row[1]] == ["*0.768*"]
    for key in {re.search(r"\[(\w)\]", row[1]).group(1) for row in published}:
        assert f"- [{key}] " in text


def test_report_lists_what_is_needed_to_repeat_it(report: Report) -> None:
    text = report_text(report)
    for expected in (
        "literature: native size",
        "seed 5",
        "sam2lora e",
        "without averaging over mirror",
    ):
        assert expected in text
    assert "threshold 0.3" in text
    assert "trained on CHASE_DB1 vessel (16)" in text
    assert "† trained on images of this dataset" in text


def test_datasets_that_the_base_was_trained_on_are_marked(
    write_set, spot, make_adapter, tmp_path: Path, no_pictures: None
) -> None:
    settings = EvaluateSettings(target="spot", exclude="b")
    sets = {name: write_set(name, {"a": make_case("a")}) for name in ("mine", "others")}
    oracle = always(INSIDE)
    oracle.base = SimpleNamespace(**vars(oracle.base) | {"learned_from": {"mine spot": 4}})
    adapters = (make_adapter(), None)
    candidates = [network_candidate(oracle, settings, adapter) for adapter in adapters]
    parts = plan_parts([*sets.values()], settings)
    report = write_report(tmp_path / "out", candidates, parts, settings, command="x")
    assert [model.base_learned_from for model in report.models] == [{"mine spot": 4}] * 2
    text = report_text(report)
    marked = {(row[0], row[1]) for row in rows(text, "No prompt (none)") if row[1].endswith("†")}
    assert marked == {("mine", "spot-test †"), ("mine", "nano without adapter †")}
    assert "its base trained on mine spot (4)" in text
    assert "the base's file" in text
    assert "| excluded | images whose stems match `b` |" in text


def test_several_models_on_several_datasets_have_a_matrix(report: Report) -> None:
    text = report_text(report)
    assert text.count("| Dice | CHASE_DB1 | my\\|set |") == 2  # once a regime
    assert re.search(r"\| mine-v1 \| 0\.750 ± 0\.000 \| 0\.750 \|", text)


def test_special_characters_do_not_break_a_table() -> None:
    lines = table([["a|b", "c\nd"], ["1", "2"]])
    assert lines == ["| a\\|b | c d |", "| --- | --- |", "| 1 | 2 |"]


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("none", "No prompt (none)"),
        ("1p", "1 point (1p)"),
        ("5p1n+box", "5 points, 1 point off the target, box (5p1n+box)"),
        ("box", "Box (box)"),
    ],
)
def test_regime_descriptions(name: str, description: str) -> None:
    assert describe_regime(REGIMES[name]) == description


def test_table_of_compact_target_has_no_cldice(write_set, spot, tmp_path) -> None:
    settings = EvaluateSettings(target="spot")
    parts = plan_parts([write_set("mine", {"a": make_case("a")})], settings)
    candidates = [network_candidate(always(INSIDE), settings)]
    report = write_report(tmp_path / "out", candidates, parts, settings, command="x")
    assert "clDice" not in report_text(report)
    assert "cldice" in report.images[0].scores
