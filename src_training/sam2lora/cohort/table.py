"""The table on disk, as CSV or Parquet: the same rows give the same bytes."""

import csv
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from sam2lora.cohort.record_row import COLUMNS, TEXT, Cell, Row
from sam2lora.errors import OutputError, SettingsError
from sam2lora.measurements import DEFINITIONS
from sam2lora.utils.csv_files import original_text, write_csv
from sam2lora.utils.files import atomic_path, read_error

Cells = Mapping[str, str]
"""A row as text: what a CSV file holds, without the apostrophes of `text_cell`."""

VASCX = "vascx_"
"""How the names of columns that VascX measured begin; where there are any, they are last."""

_WORDS = {True: "yes", False: "no"}
_LARGE = 1_000_000  # from which a number has no decimals
_YES_NO = frozenset(name for name, one in DEFINITIONS.items() if one.unit == "yes or no")


def as_cells(row: Row) -> Cells:
    """Return a row as text: numbers with six digits, yes or no, nothing for None."""
    return {column: cell_text(row.get(column)) for column in COLUMNS}


def check_path(path: Path) -> None:
    """Check that a table can be written as the path says.

    Raises
    ------
    SettingsError
        If it is neither CSV nor Parquet, or Parquet and `pyarrow` is missing.
    """
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise SettingsError(f"{path}: a table is written as .csv or .parquet.")
    if path.suffix.lower() == ".parquet":
        _parquet()


def write_table(path: Path, rows: Sequence[Cells]) -> None:
    """Write rows to a CSV or Parquet file, atomically.

    Raises
    ------
    OutputError
        If the file cannot be written.
    SettingsError
        As for `check_path`.
    """
    check_path(path)
    names = list(dict.fromkeys((*COLUMNS, *(name for row in rows for name in row))))
    if path.suffix.lower() == ".csv":
        write_csv(path, names, rows)
        return
    arrow, parquet = _parquet()
    columns = {name: [_parsed(name, row.get(name, "")) for row in rows] for name in names}
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in names])
    with atomic_path(path) as temporary:
        parquet.write_table(arrow.table(columns, schema=schema), temporary)


def add_row(path: Path, row: Row) -> None:
    """Add the row of one image to a table, in place of an earlier one; without a table, begin one.

    An earlier row of the same file keeps the path that it has: that of `sam2lora measure` is often
    relative to the folder in which it was called.

    Raises
    ------
    OutputError
        If the file cannot be written, or is another kind of table.
    SettingsError
        As for `check_path`.
    """
    cells = as_cells(row)
    rows = {one["file"]: one for one in read_table(path)} if path.exists() else {}
    file = _spelling(cells["file"], rows, path)
    write_table(path, list({**rows, file: {**cells, "file": file}}.values()))


def read_table(path: Path) -> list[Cells]:
    """Read a table that `write_table` wrote.

    Raises
    ------
    OutputError
        If it cannot be read, or is another kind of table.
    SettingsError
        As for `check_path`.
    """
    check_path(path)
    try:
        names, rows = _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except OSError as error:
        raise OutputError(str(read_error(path, error))) from error
    except (ValueError, csv.Error) as error:
        raise OutputError(f"{path}: cannot be read as a table ({error}).") from error
    ours = tuple(name for name in names if not name.startswith(VASCX))
    if ours != COLUMNS:
        raise OutputError(
            f"{path}: is no table of measurements of this version. Choose another file, or delete "
            "it."
        )
    return rows


def _spelling(file: str, known: Collection[str], table: Path) -> str:
    """Return how a table spells the path of an image; as it is given if it has no such row."""
    if file in known:
        return file
    image, folders = Path(file).resolve(), (Path(), *table.resolve().parents)
    for one in known:
        if Path(one).name == Path(file).name:
            places = (folder / one for folder in folders)  # only the folder of the call is meant
            found = next((place for place in places if place.is_file()), None)
            if found is not None and found.resolve() == image:
                return one
    return file


def _read_csv(path: Path) -> tuple[Sequence[str], list[Cells]]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream, restval="")
        rows: list[Cells] = [
            {name: original_text(cell) for name, cell in row.items()} for row in reader
        ]
        return reader.fieldnames or (), rows


def _read_parquet(path: Path) -> tuple[Sequence[str], list[Cells]]:
    _, parquet = _parquet()
    table = parquet.read_table(path)
    rows: list[Cells] = [
        {name: cell_text(value) for name, value in row.items()} for row in table.to_pylist()
    ]
    return table.column_names, rows


def cell_text(value: Cell) -> str:
    """Return a value as the text of a cell: six digits, yes or no, nothing for None or NaN."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return _WORDS[value]
    if not math.isfinite(value):
        return ""
    whole = float(value).is_integer() or abs(value) >= _LARGE
    return str(round(value)) if whole else f"{value:.6g}"


def _parsed(column: str, cell: str) -> Cell:
    if column in TEXT:
        return cell
    if not cell:
        return None
    return cell == _WORDS[True] if column in _YES_NO else float(cell)


def _arrow_type(arrow: Any, column: str) -> Any:
    if column in TEXT:
        return arrow.string()
    return arrow.bool_() if column in _YES_NO else arrow.float64()


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise SettingsError(
            "Parquet needs pyarrow: pip install 'napari-sam2lora[parquet]'. Or write .csv."
        ) from error
    return pyarrow, parquet
