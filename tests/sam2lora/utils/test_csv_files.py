"""Cells that a spreadsheet would compute are written as text; numbers stay numbers."""

import csv
import io

import pytest

from sam2lora.utils.csv_files import csv_text, original_text, text_cell


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-x", "@A1", "\ta", "\ra", "＝1", "-1+1", "'=1"])
def test_formulas_become_text(text: str) -> None:
    assert text_cell(text) == f"'{text}"
    assert original_text(text_cell(text)) == text


@pytest.mark.parametrize("text", ["", "a=b", "-0.5", "+1e-05", "1", "'a", "masks/a.png"])
def test_other_texts_and_numbers_stay(text: str) -> None:
    assert text_cell(text) == original_text(text) == text


def test_tables_are_read_back() -> None:
    text = csv_text(["image", "x"], [{"image": "=a,b", "x": -1.5}, {"image": "b", "other": 1}])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows == [{"image": "'=a,b", "x": "-1.5"}, {"image": "b", "x": ""}]
