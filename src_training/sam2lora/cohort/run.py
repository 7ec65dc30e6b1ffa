"""Write a table row by row: what is there and still right is kept, what fails is a row, too."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sam2lora import __version__
from sam2lora.cohort.record_row import (
    PREDICTED,
    PROVENANCE,
    Provenance,
    Row,
    confidence_cells,
    digest_of,
    row_of_record,
)
from sam2lora.cohort.table import Cells, as_cells, check_path, read_table, write_table
from sam2lora.datasets import Record
from sam2lora.errors import OutputError
from sam2lora.utils.files import make_folder
from sam2lora.utils.progress import Progress, no_progress

_EVERY = 20.0  # seconds between writings of the table
_SHARE = 20  # times that a writing took, before the next


@dataclass(frozen=True)
class TableResult:
    """What was done to a table.

    Attributes
    ----------
    rows
        Number of its rows.
    kept
        How many of them were there already.
    failed
        Images that could not be measured, and why.
    """

    rows: int
    kept: int
    failed: Mapping[str, str] = field(default_factory=dict)


class TableWriter:
    """A table that is being written.

    Parameters
    ----------
    path
        The file, `.csv` or `.parquet`. Its rows are continued if it exists.
    files
        The `file` of each row, in order.

    Raises
    ------
    OutputError
        If the existing file is another kind of table, or has rows of other images.
    SettingsError
        As for `check_path`.
    """

    def __init__(self, path: Path, files: Iterable[str]) -> None:
        check_path(path)
        self._path = path
        self._files = list(files)
        self._before = {row["file"]: row for row in read_table(path)} if path.exists() else {}
        others = sorted(self._before.keys() - set(self._files))
        if others:
            raise OutputError(
                f"{path}: has rows of {len(others)} other images, such as {others[0]}, and would "
                "lose them. Choose another file, or delete it."
            )
        make_folder(path.parent)
        self._rows: dict[str, Cells] = {}
        self._kept = 0
        self._written, self._took = time.monotonic(), 0.0

    def keep(self, record: Record, provenance: Provenance | None) -> bool:
        """Keep the row of an image, if there is one of the same files, version and model.

        A row of an image that failed is not kept.
        """
        name = record.image.as_posix()
        row = self._before.get(name)
        if row is None or row["error"]:
            return False
        expected = as_cells(_expected(record, provenance))
        same = ("inputs_sha256", "version", *_compared(provenance))
        if not expected["inputs_sha256"] or any(row[column] != expected[column] for column in same):
            return False
        self._rows[name] = row
        self._kept += 1
        return True

    def add(self, row: Row) -> None:
        """Add the row of an image; the table is written now and then.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        cells = as_cells(row)
        self._rows[cells["file"]] = cells
        if time.monotonic() - self._written > max(_EVERY, _SHARE * self._took):
            self.write()

    def write(self) -> None:
        """Write the rows that there are; those of images that were not reached stay as they were.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        start = time.monotonic()
        rows = self._before | self._rows
        write_table(self._path, [rows[name] for name in self._files if name in rows])
        self._written = time.monotonic()
        self._took = self._written - start

    def result(self) -> TableResult:
        """Return what was done so far."""
        failed = {name: row["error"] for name, row in self._rows.items() if row["error"]}
        return TableResult(len(self._rows), self._kept, failed)


@contextmanager
def table_writer(path: Path, files: Iterable[str]) -> Iterator[TableWriter]:
    """Open a table, and write it at the end, however that comes; see `TableWriter`."""
    writer = TableWriter(path, files)
    try:
        yield writer
    except BaseException:
        with suppress(OutputError):  # which, on a full disk, is what is being raised
            writer.write()
        raise
    writer.write()


def measure_records(
    records: Sequence[Record], path: Path, *, progress: Progress = no_progress
) -> TableResult:
    """Measure the masks of images into a table with one row an image, in their order.

    Rows of an existing table stay where the image, the masks and this program's version are the
    same; an image that cannot be measured has a row with the reason.

    Parameters
    ----------
    records
        The images with their masks, from `find_records`.
    path
        The table, `.csv` or `.parquet`.
    progress
        Called with (images done, images in total). An exception that it raises stops the work; the
        table then has the rows done so far.

    Raises
    ------
    OutputError
        If the table cannot be written, is another kind of table, or has rows of other images.
    SettingsError
        If its format is unknown, or Parquet and `pyarrow` is missing.
    """
    with table_writer(path, (record.image.as_posix() for record in records)) as writer:
        for done, record in enumerate(records):
            progress(done, len(records))
            if not writer.keep(record, None):
                writer.add(row_of_record(record))
        progress(len(records), len(records))
    return writer.result()


def _expected(record: Record, provenance: Provenance | None) -> Row:
    """Return the cells by which a row is recognised as still right."""
    try:
        digest = digest_of(record)
    except OSError:
        digest = ""
    cells = provenance.cells() if provenance else confidence_cells(record)
    return {**cells, "inputs_sha256": digest, "version": __version__}


def _compared(provenance: Provenance | None) -> tuple[str, ...]:
    """Return the columns of how masks were predicted that have to agree.

    What a prediction says about itself is a result, and not known before.
    """
    return PROVENANCE if provenance else (*PROVENANCE, *PREDICTED)
