"""Comparing two reports: known differences, and reports that cannot be paired."""

import csv
import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sam2lora.errors import OutputError, ReportError
from sam2lora.evaluation import (
    EvaluateSettings,
    Side,
    make_comparison,
    network_candidate,
    plan_parts,
    write_comparison,
    write_report,
)
from sam2lora.evaluation.report.comparison import bootstrap_interval

from ..conftest import Oracle, make_case, square

SPOTS = EvaluateSettings(target="spot", regimes=("none", "1p"))
FILES = {
    *("comparison.json", "comparison.md", "differences.csv", "differences.png"),
    *("overview.png", "overview_1p.png"),
}
EYES = {name: make_case(name) for name in ("p1_left", "p1_right", "p2_left", "p3_left")}
SHIFTS = dict(zip(EYES, (1, 2, 3, 4), strict=True))


def shifted(by: dict[str, int]) -> Oracle:
    """Return a predictor of each image's square, shifted by n columns: Dice 1 - n/16."""
    masks = {EYES[name].pixels.tobytes(): square(20 + n, 20, 16) for name, n in by.items()}
    return Oracle(lambda prepared, prompts: masks[prepared.pixels.tobytes()])


@pytest.fixture
def write(tmp_path: Path, write_set, spot, no_pictures: None) -> Callable[..., Path]:
    """Return a function that writes a report of a network with shifted predictions."""

    def write(
        name: str,
        by: dict[str, int],
        *,
        settings: EvaluateSettings = SPOTS,
        root: Path | None = None,
        also: dict[str, int] | None = None,
        make_adapter: Callable[..., object] | None = None,
    ) -> Path:
        parts = plan_parts([root or write_set("mine", EYES)], settings)
        candidates = [network_candidate(shifted(by), settings)]
        if make_adapter and also:
            candidates.append(network_candidate(shifted(also), settings, make_adapter("second")))
        write_report(tmp_path / name, candidates, parts, settings, command="x")
        return tmp_path / name

    return write


@pytest.fixture
def pair(write) -> tuple[Path, Path]:
    """Write two reports; B is better by 1/16, 2/16, 3/16 and worse by 1/16."""
    a = write("a", SHIFTS)
    b = write("b", dict(zip(EYES, (0, 0, 0, 5), strict=True)))
    return a, b


def test_differences_match_hand_computed_values(pair) -> None:
    comparison, _ = make_comparison(*map(Side, pair), command="x")
    (dice,) = [
        entry for entry in comparison.differences if (entry.metric, entry.regime) == ("dice", "1p")
    ]
    change = [1 / 16, 2 / 16, 3 / 16, -1 / 16]
    assert [
        entry.difference for entry in comparison.pairs if entry.regime == "1p"
    ] == pytest.approx(change)
    assert dice.difference == pytest.approx(np.mean(change))
    assert (dice.n, dice.patients, dice.undefined, dice.better) == (4, 3, 0, 3)
    assert dice.a == pytest.approx(1 - 2.5 / 16)
    assert -1 / 16 <= dice.low < dice.difference < dice.high <= 3 / 16


def test_lower_distance_counts_as_better(pair) -> None:
    comparison, _ = make_comparison(*map(Side, pair), command="x")
    (assd,) = [
        entry for entry in comparison.differences if (entry.metric, entry.regime) == ("assd", "1p")
    ]
    assert assd.difference < 0
    assert assd.better == 3


def test_report_compared_with_itself_has_no_difference(pair) -> None:
    comparison, _ = make_comparison(Side(pair[0]), Side(pair[0]), command="x")
    for entry in comparison.differences:
        assert (entry.difference, entry.low, entry.high, entry.better) == (0, 0, 0, 0)


def test_written_files_agree_with_the_comparison(pair, tmp_path: Path) -> None:
    out = tmp_path / "out"
    comparison = write_comparison(out, *map(Side, pair), command="sam2lora y", seed=3)
    assert {path.name for path in out.iterdir()} == FILES
    for picture in out.glob("*.png"):
        Image.open(picture).load()
    content = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    assert content["seed"] == 3
    assert content["differences"][0]["difference"] == comparison.differences[0].difference
    with (out / "differences.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["difference"]) for row in rows if row["regime"] == "none"] == pytest.approx(
        [1 / 16, 2 / 16, 3 / 16, -1 / 16], rel=1e-4
    )
    text = (out / "comparison.md").read_text(encoding="utf-8")
    assert re.search(r"\| mine \| Dice \| 0\.8438 \| 0\.9219 \| \+0\.0781 \| ", text)
    assert "sam2lora y" in text
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (out / name).is_file()
    assert write_comparison(out, *map(Side, pair), command="sam2lora y", seed=3) == comparison


def test_gallery_shows_largest_differences_gains_first(pair, tmp_path, monkeypatch) -> None:
    shown: dict[str, list[str]] = {}
    monkeypatch.setattr(
        "sam2lora.evaluation.report.comparison_writer.save_rows",
        lambda path, rows, title: shown.update({path.name: [row.text for row in rows]}),
    )
    write_comparison(tmp_path / "out", *map(Side, pair), command="x")
    assert shown.keys() == {"overview.png", "overview_1p.png"}
    names = [re.search(r"p\d_\w+", text).group() for text in shown["overview.png"]]
    assert names == ["p2_left", "p1_right", "p1_left", "p3_left"]
    assert shown["overview.png"][0].endswith("Dice 0.812 → 1.000 (+0.188)")


def test_equal_predictions_write_no_gallery(pair, tmp_path: Path) -> None:
    write_comparison(tmp_path / "out", Side(pair[0]), Side(pair[0]), command="x")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("comparison.json", "comparison.md", "differences.csv", "differences.png")
    }
    text = (tmp_path / "out" / "comparison.md").read_text(encoding="utf-8")
    for name in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text):
        assert (tmp_path / "out" / name).is_file()


def test_side_needs_a_model_name_if_there_are_several(write, make_adapter) -> None:
    both = write("both", SHIFTS, also=dict.fromkeys(EYES, 0), make_adapter=make_adapter)
    with pytest.raises(ReportError, match="has several models: 'nano without adapter', 'second'"):
        Side(both)
    with pytest.raises(ReportError, match="has no model 'third'"):
        Side(both, "third")
    first, second = Side(both, "nano without adapter"), Side(both, "second")
    comparison, _ = make_comparison(first, second, command="x")
    assert comparison.differences[0].difference == pytest.approx(2.5 / 16)


def test_unpaired_images_are_excluded_and_listed(write, write_set) -> None:
    fewer = {name: EYES[name] for name in list(EYES)[:3]}
    a = write("a", SHIFTS)
    b = write(
        "b", SHIFTS, root=write_set("x/mine", fewer), settings=EvaluateSettings(target="spot")
    )
    comparison, _ = make_comparison(Side(a), Side(b), command="x")
    assert {entry.n for entry in comparison.differences if entry.metric == "dice"} == {3}
    assert comparison.unpaired == ("A alone: mine, 1p, 4 images", "A alone: mine, none, 1 images")


def test_reports_that_cannot_be_compared_are_refused(write, write_set, tmp_path: Path) -> None:
    a = write("a", SHIFTS)
    other = write("seed", SHIFTS, settings=SPOTS.model_copy(update={"seed": 1}))
    with pytest.raises(ReportError, match=r"different prompts \(1p\).*same --seed"):
        make_comparison(Side(a), Side(other), command="x")
    changed = {name: make_case(name, reference=square(21, 20, 16)) for name in EYES}
    relabelled = write("relabelled", SHIFTS, root=write_set("x/mine", changed))
    with pytest.raises(ReportError, match="different reference masks"):
        make_comparison(Side(a), Side(relabelled), command="x")
    elsewhere = write("elsewhere", SHIFTS, root=write_set("another", EYES))
    with pytest.raises(ReportError, match="no scored image and regime in common"):
        make_comparison(Side(a), Side(elsewhere), command="x")
    text = (a / "report.json").read_text(encoding="utf-8")
    (tmp_path / "disc").mkdir()
    (tmp_path / "disc" / "report.json").write_text(
        text.replace('"target": "spot"', '"target": "d"')
    )
    with pytest.raises(ReportError, match=r"has the target 'spot' and .*disc 'd'"):
        make_comparison(Side(a), Side(tmp_path / "disc"), command="x")


def test_report_without_masks_is_refused(pair, tmp_path: Path) -> None:
    shutil.rmtree(pair[1] / "masks")
    with pytest.raises(ReportError, match="A mask of the report cannot be read"):
        write_comparison(tmp_path / "out", *map(Side, pair), command="x")
    assert not (tmp_path / "out").exists()


def test_comparison_never_replaces_one_of_its_reports(pair) -> None:
    a, b = map(Side, pair)
    for out in (*pair, pair[0].parent):
        with pytest.raises(OutputError, match="would replace the report"):
            write_comparison(out, a, b, command="x")
    assert all((folder / "report.json").exists() for folder in pair)


RNG = np.random.default_rng(0)


def test_bootstrap_interval_approaches_the_normal_interval() -> None:
    values = RNG.normal(0.1, 1, 400)
    low, high = bootstrap_interval(values, range(400))
    half_width = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half_width, abs=0.02)
    assert high == pytest.approx(values.mean() + half_width, abs=0.02)


def test_bootstrap_interval_has_its_nominal_coverage() -> None:
    hits = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(0.5, 1, 40)
        low, high = bootstrap_interval(values, range(40))
        hits += low <= 0.5 <= high
    assert 0.9 <= hits / 200 <= 0.985


def test_both_eyes_of_a_patient_count_as_one() -> None:
    """The same value twice is no more evidence than once."""
    values = RNG.normal(0, 1, 30)
    once = bootstrap_interval(values, range(30))
    twice = bootstrap_interval(np.repeat(values, 2), np.repeat(range(30), 2))
    by_image = bootstrap_interval(np.repeat(values, 2), range(60))
    assert twice == pytest.approx(once)
    assert by_image[1] - by_image[0] < 0.8 * (twice[1] - twice[0])


def test_bootstrap_repeats_by_seed_and_hardly_depends_on_it() -> None:
    values = RNG.normal(0, 1, 30)
    first = bootstrap_interval(values, range(30), seed=1)
    assert bootstrap_interval(values, range(30), seed=1) == first
    other = bootstrap_interval(values, range(30), seed=2)
    assert other != first
    assert other == pytest.approx(first, abs=0.03)


@pytest.mark.parametrize(("values", "patients"), [([], []), ([1.0], ["a"]), ([1.0, 2.0], "aa")])
def test_interval_is_undefined_below_two_patients(values: list[float], patients: str) -> None:
    assert all(math.isnan(end) for end in bootstrap_interval(values, patients))


def test_equal_differences_have_interval_of_zero_width() -> None:
    assert bootstrap_interval([0.25] * 5, range(5)) == (0.25, 0.25)
