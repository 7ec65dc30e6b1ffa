"""Write CSV files whose cells no spreadsheet takes for a formula."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sam2lora.utils.files import atomic_path

# As OWASP lists them, in both widths; after apostrophes too, so that one more can be undone.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def text_cell(text: str) -> str:
    """Return a text as a cell: after an apostrophe if a spreadsheet would compute it.

    Numbers stay numbers, negative ones too.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def original_text(cell: str) -> str:
    """Return the text of which `text_cell` made a cell."""
    text = cell.removeprefix("'")
    return text if text != cell and text_cell(text) == cell else cell


def csv_text(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> str:
    r"""Return a table as CSV with a header, its lines ended by `\n`.

    Parameters
    ----------
    columns
        The header.
    rows
        Cells by column; one that is missing or None becomes empty, and other keys are left out.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_cell, columns))
    writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    return text.getvalue()


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a table as `csv_text` does, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(csv_text(columns, rows), encoding="utf-8", newline="")


def _cell(value: object) -> object:
    return text_cell(value) if isinstance(value, str) else value
