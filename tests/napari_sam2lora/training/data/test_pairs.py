"""What is known of pairs that are trained on together."""

from dataclasses import replace
from pathlib import Path

import pytest

from napari_sam2lora.training.data.pairs import (
    Pair,
    PairIssue,
    is_single_patient,
    issues_of,
    pair_key,
    real_path,
)


def pair(name: str, patient: str = "", issue: PairIssue | None = None) -> Pair:
    return Pair(name, name, f"{name} disc", patient or name, issue is None, issue)


LEFT, RIGHT, BEN = pair("left", "anna"), pair("right", "anna"), pair("ben")


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "Select at least one"),
        ([LEFT], "only one image"),
        ([LEFT, RIGHT], "All 2 images are of one patient"),
        ([LEFT, RIGHT, BEN], "3 images of 2 patients: left, right count as one patient"),
    ],
    ids=["none", "one image", "one patient", "both eyes"],
)
def test_issue_of_the_selection_is_described(pairs: list[Pair], message: str) -> None:
    (issue,) = issues_of(pairs)
    assert message in issue


def test_two_patients_have_no_issue() -> None:
    assert issues_of([LEFT, BEN]) == []
    assert not is_single_patient([LEFT, BEN])
    assert is_single_patient([LEFT, RIGHT])


def test_only_a_blocking_issue_makes_a_pair_unusable() -> None:
    assert pair("a").usable
    assert pair("a", issue=PairIssue("Is empty.")).usable
    assert not pair("a", issue=PairIssue("Is a preview.", blocking=True)).usable


def test_pairs_of_other_targets_and_layers_have_other_keys() -> None:
    keys = {pair_key("a", "disc"), pair_key("a", "cup"), pair_key("a", "disc", "my disc")}
    assert len(keys) == 3


def test_real_path_follows_links(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert real_path(tmp_path / "link") == real_path(tmp_path / "file")
    assert real_path(None) == ""


def test_masks_that_were_accepted_uncorrected_are_named() -> None:
    same = [replace(pair(name), as_predicted=True) for name in "ab"]
    assert issues_of(same)[0].startswith("There is nothing to learn")
    assert issues_of([*same, pair("c")]) == [
        "2 of 3 masks were accepted as they were predicted, uncorrected."
    ]
