"""Splits keep patients together, and are the same on every machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from sam2lora.datasets import Record, filter_by_stem, official_split, split_by_patient
from sam2lora.datasets.splits import check_expression
from sam2lora.errors import DatasetError, SettingsError


def records(*patients: str, dataset: str = "set") -> list[Record]:
    """Create one record for each name; equal names are visits of one patient."""
    return [
        Record(dataset, f"{patient}_{visit}", Path("x.png"), {}, None, patient, None, None)
        for visit, patient in enumerate(patients)
    ]


def test_patients_stay_together_and_no_record_is_lost() -> None:
    everything = records(*"aabbbcddddefghij")
    parts = split_by_patient(everything, fractions={"train": 0.6, "val": 0.2, "test": 0.2}, seed=3)
    patients = {name: {r.patient for r in part} for name, part in parts.items()}
    assert [len(patients[name]) for name in ("train", "val", "test")] == [6, 2, 2]
    assert not patients["train"] & patients["val"]
    assert not patients["test"] & (patients["train"] | patients["val"])
    assert sorted(r.stem for part in parts.values() for r in part) == sorted(
        r.stem for r in everything
    )
    assert all(part == sorted(part, key=lambda r: r.stem) for part in parts.values())


def test_split_depends_on_the_seed_and_not_on_the_order() -> None:
    everything = records(*"abcdefghijklmnop")
    halves = {"train": 0.5, "test": 0.5}
    once = split_by_patient(everything, fractions=halves, seed=1)
    assert split_by_patient(everything[::-1], fractions=halves, seed=1) == once
    assert split_by_patient(everything, fractions=halves, seed=2) != once


def test_split_is_reproducible_across_versions() -> None:
    parts = split_by_patient(records(*"abcdefgh"), fractions={"train": 0.75, "val": 0.25}, seed=0)
    assert [r.patient for r in parts["val"]] == ["e", "h"]


def test_split_does_not_depend_on_pythons_hash_seed() -> None:
    code = (
        "from pathlib import Path\n"
        "from sam2lora.datasets import Record, split_by_patient\n"
        "rs = [Record('s', p, Path('x'), {}, None, p, None, None) for p in 'abcdefgh']\n"
        "parts = split_by_patient(rs, fractions={'a': 0.5, 'b': 0.5}, seed=5)\n"
        "print([r.stem for r in parts['a']])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_the_same_name_in_two_datasets_is_two_patients() -> None:
    both = records("1", dataset="one") + records("1", dataset="two")
    parts = split_by_patient(both, fractions={"train": 0.5, "test": 0.5}, seed=0)
    assert [len(part) for part in parts.values()] == [1, 1]


@pytest.mark.parametrize("patients", [3, 4, 7, 30])
def test_every_part_gets_a_patient(patients: int) -> None:
    everything = records(*map(str, range(patients)))
    fractions = {"train": 0.9, "val": 0.05, "test": 0.05}
    parts = split_by_patient(everything, fractions=fractions, seed=0)
    assert min(len(part) for part in parts.values()) >= 1
    assert sum(len(part) for part in parts.values()) == patients


def test_too_few_patients_are_refused() -> None:
    with pytest.raises(DatasetError, match=r"1 patients in 5 images .* 2 parts \(train, test\)"):
        split_by_patient(records(*"aaaaa"), fractions={"train": 0.8, "test": 0.2}, seed=0)


@pytest.mark.parametrize(
    "fractions", [{}, {"a": 0.5}, {"a": 0.5, "b": 0.6}, {"a": 1.0, "b": 0.0}, {"a": 1.2, "b": -0.2}]
)
def test_invalid_shares_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(DatasetError, match="must be positive and add up to 1"):
        split_by_patient(records(*"abc"), fractions=fractions, seed=0)


def test_official_split() -> None:
    split = [
        Record("set", stem, Path("x.png"), {}, None, stem, None, part)
        for stem, part in (("b", "train"), ("a", "train"), ("c", "test"))
    ]
    assert [r.stem for r in official_split(split, "train")] == ["a", "b"]
    with pytest.raises(DatasetError, match=r"official split 'val'\. There are: test, train"):
        official_split(split, "val")
    with pytest.raises(DatasetError, match="There is no official split"):
        official_split(records(*"ab"), "train")


RECORDS = [
    Record("set", stem, Path(f"{stem}.png"), {}, None, stem, None, None)
    for stem in ("01_left", "02_left", "02_right")
]


@pytest.mark.parametrize(
    ("filters", "stems"),
    [
        ({}, ["01_left", "02_left", "02_right"]),
        ({"include": "^02"}, ["02_left", "02_right"]),
        ({"exclude": "left"}, ["02_right"]),
        ({"include": "left", "exclude": "1"}, ["02_left"]),
    ],
)
def test_records_are_selected_by_stem(filters: dict[str, str], stems: list[str]) -> None:
    assert [record.stem for record in filter_by_stem(RECORDS, "set", **filters)] == stems


def test_error_for_an_empty_selection_shows_a_stem() -> None:
    with pytest.raises(DatasetError, match=r"my/set: none of its 3 images.*'\^03'.*'01_left'"):
        filter_by_stem(RECORDS, Path("my/set"), include="^03")


def test_invalid_regular_expression_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'\(a' is not a regular expression"):
        check_expression("(a")
    assert check_expression("a|b") == "a|b"
    assert check_expression(None) is None
