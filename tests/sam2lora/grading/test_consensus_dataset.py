"""The consensus is a dataset that can be trained on, with its sources."""

import sys
from pathlib import Path

import numpy as np
import pytest

from sam2lora.datasets import check_dataset, read_dataset
from sam2lora.datasets.csv_dataset import read_rows
from sam2lora.errors import OutputError, SessionError
from sam2lora.grading import Adjudicator, GradingSession, Review, consensus_dataset
from sam2lora.grading.consensus_dataset import write_consensus
from sam2lora.images.reading import read_mask
from tests.sam2lora.grading.helpers import STEMS, Eyes, Grade


def test_decided_masks_are_a_dataset_with_sources(
    session: GradingSession, grade: Grade, masks: Eyes, tmp_path: Path
):
    grade("anna")
    grade("ben", STEMS[:3], shift=2)
    painted = np.roll(masks[STEMS[1]]["cup"], 5, axis=1)
    with Adjudicator(session, "cleo") as third:
        third.choose(STEMS[0], "disc", "ben")
        third.choose(STEMS[0], "cup", "anna")
        third.corrections.save(STEMS[1], session.found_path(STEMS[1]), {"cup": painted})
        third.choose(STEMS[1], "cup", "painted")
        result = write_consensus(tmp_path / "out", third.review, adjudicator=third)
    assert result.chosen == {"ben": 1, "anna": 1, "painted": 1}
    assert result.undecided == {STEMS[1]: ("disc",), STEMS[2]: ("disc", "cup")}
    assert result.sealed == (STEMS[3],)
    assert result.problems == {}
    dataset = read_dataset(tmp_path / "out")
    assert dataset.layout == "csv"
    first, second = dataset.records
    assert (first.stem, first.patient, second.stem) == (STEMS[0], "p1", STEMS[1])
    disc = np.roll(masks[STEMS[0]]["disc"], 2, axis=0)
    np.testing.assert_array_equal(first.read_mask("disc"), disc)
    np.testing.assert_array_equal(first.read_mask("cup"), masks[STEMS[0]]["cup"])
    np.testing.assert_array_equal(second.read_mask("cup"), painted)
    (problem,) = check_dataset(tmp_path / "out").problems
    assert (problem.path.stem, problem.text) == (STEMS[1], "has no mask of disc")
    row, other = (row for _, row in read_rows(tmp_path / "out" / "dataset.csv"))
    assert (row["disc_chosen"], row["cup_chosen"]) == ("ben", "anna")
    assert (other["disc_chosen"], other["cup_chosen"]) == ("", "painted")
    source = read_mask(tmp_path / "out" / row["disc_by_anna"], shape=(96, 96))
    np.testing.assert_array_equal(source, masks[STEMS[0]]["disc"])
    assert other["cup_by_cleo"] == f"sources/cleo/cup/{STEMS[1]}.png"


def test_otherwise_is_taken_where_nothing_was_decided(
    session: GradingSession, grade: Grade, masks: Eyes, tmp_path: Path
):
    grade("anna")
    grade("ben", shift=4, targets=("disc",))
    with Adjudicator(session, "cleo") as third:
        third.choose(STEMS[0], "disc", "ben")
    review = Review(session)
    decided = Adjudicator(session, "cleo", read_only=True)
    result = write_consensus(
        tmp_path / "a", review, adjudicator=decided, otherwise="anna", copy=False
    )
    assert result.chosen == {"ben": 1, "anna": 7}
    assert not (tmp_path / "a" / "images").exists()
    assert write_consensus(tmp_path / "b", review, otherwise="ben").undecided == dict.fromkeys(
        STEMS, ("cup",)
    )
    with pytest.raises(SessionError, match="'eve' cannot be taken"):
        write_consensus(tmp_path / "c", review, otherwise="eve")


def test_majority_of_three(session: GradingSession, grade: Grade, masks: Eyes, tmp_path: Path):
    for name, shift in (("anna", 0), ("ben", 0), ("cleo", 9)):
        grade(name, shift=shift)
    write_consensus(tmp_path / "a", Review(session), otherwise="majority")
    record = read_dataset(tmp_path / "a").records[0]
    np.testing.assert_array_equal(record.read_mask("disc"), masks[STEMS[0]]["disc"])


def test_nothing_is_written_without_a_decision(
    session: GradingSession, grade: Grade, tmp_path: Path
):
    grade("anna")
    grade("ben")
    with pytest.raises(SessionError, match=r"no consensus to write\. .* with: 4; none of"):
        write_consensus(tmp_path / "out", Review(session))
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="lies in the session"):
        write_consensus(session.folder / "graders" / "eve", Review(session), otherwise="anna")
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        write_consensus(tmp_path / "out", Review(session), otherwise="anna")


def test_image_that_fails_is_named_and_the_others_written(
    session: GradingSession, grade: Grade, tmp_path: Path
):
    grade("anna")
    session.path(STEMS[2]).unlink()
    result = write_consensus(tmp_path / "out", Review(session), otherwise="anna")
    assert list(result.problems) == [STEMS[2]]
    assert len(read_dataset(tmp_path / "out").records) == 3


def test_full_disk_ends_it_and_a_missing_package_is_named(
    session: GradingSession, grade: Grade, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    grade("anna")
    grade("ben", shift=1)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    with pytest.raises(SessionError, match=r"done with: 4; STAPLE needs SimpleITK"):
        write_consensus(tmp_path / "a", Review(session), otherwise="staple")

    def full(path: Path, mask: np.ndarray) -> None:
        raise OutputError(f"{path}: cannot be written (No space left on device).")

    monkeypatch.setattr(consensus_dataset, "save_mask", full)
    with pytest.raises(OutputError, match="No space left"):
        write_consensus(tmp_path / "b", Review(session), otherwise="anna")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "session"]


def test_choice_that_counts_no_longer_is_not_replaced(
    session: GradingSession, grade: Grade, tmp_path: Path
):
    grade("anna")
    grade("ben", shift=2)
    with Adjudicator(session, "cleo") as third:
        third.choose(STEMS[0], "disc", "ben")
        third.choose(STEMS[1], "disc", "ben")
    grade("anna", STEMS[:1], shift=1)
    decided = Adjudicator(session, "cleo", read_only=True)
    result = write_consensus(
        tmp_path / "out", decided.review, adjudicator=decided, otherwise="anna"
    )
    assert result.void == {STEMS[0]: ("disc",)}
    assert result.undecided == {}
    assert result.chosen == {"anna": 6, "ben": 1}
    first = read_dataset(tmp_path / "out").records[0]
    assert (first.stem, set(first.masks)) == (STEMS[0], {"cup"})
