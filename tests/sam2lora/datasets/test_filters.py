"""Images chosen by their names."""

from pathlib import Path

import pytest

from sam2lora.datasets import Record, filter_by_stem
from sam2lora.datasets.filters import check_expression
from sam2lora.errors import DatasetError, SettingsError

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
def test_stems_that_match_somewhere_are_chosen(filters: dict[str, str], stems: list[str]) -> None:
    assert [one.stem for one in filter_by_stem(RECORDS, "set", **filters)] == stems


def test_nothing_left_is_said_with_a_stem_there_is() -> None:
    with pytest.raises(DatasetError, match=r"my/set: none of its 3 images.*'\^03'.*'01_left'"):
        filter_by_stem(RECORDS, Path("my/set"), include="^03")


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"'\(a' is no regular expression"):
        check_expression("(a")
    assert check_expression("a|b") == "a|b"
    assert check_expression(None) is None
