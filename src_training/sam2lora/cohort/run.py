"""Write a table row by row: what is there and still right is kept, what fails is a row, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sam2lora import __version__
from sam2lora.cohort.record_row import (
    PREDICTED,
    PROVENANCE,
    Provenance,
    Row,
    confidence_cells,
    digest_of,
    identity_cells,
    row_of_record,
)
from sam2lora.cohort.table import Cells, as_cells, check_path, read_table, write_table
from sam2lora.compute.jobs import Job, JobWork, run_job
from sam2lora.datasets import Record
from sam2lora.errors import OutputError
from sam2lora.utils.files import make_folder
from sam2lora.utils.pace import Pace
from sam2lora.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster


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
        self._pace = Pace()

    def digest_before(self, record: Record, provenance: Provenance | None) -> str:
        """Return the digest of the files that the row of an image is from.

        Returns
        -------
        The row may be kept if the files still have that digest. It is empty where there is no row,
        where the image failed, and where the version or the model was another.
        """
        row = self._before.get(record.image.as_posix())
        if row is None or row["error"]:
            return ""
        expected = as_cells(_expected(record, provenance))
        if any(row[column] != expected[column] for column in ("version", *_compared(provenance))):
            return ""
        return row["inputs_sha256"]

    def keep(self, image: Path) -> None:
        """Keep the row of an image."""
        name = image.as_posix()
        self._rows[name] = self._before[name]
        self._kept += 1

    def add(self, row: Row) -> None:
        """Add the row of an image; the table is written now and then.

        Raises
        ------
        OutputError
            If it cannot be written.
        """
        cells = as_cells(row)
        self._rows[cells["file"]] = cells
        if self._pace.is_due():
            self.write()

    def write(self) -> None:
        """Write the rows that there are; those of images that were not reached stay as they were.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        rows = self._before | self._rows
        with self._pace.writing():
            write_table(self._path, [rows[name] for name in self._files if name in rows])

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


@dataclass(frozen=True)
class MeasureRequest:
    """An image to measure.

    Attributes
    ----------
    record
        The image with its masks.
    digest
        Digest of the files with which its row stays as it is; empty if there is none.
    """

    record: Record
    digest: str = ""


class MeasureJob(Job[MeasureRequest, Row | None]):
    """Measures images; None stands for a row that stays."""

    def open(self) -> JobWork[MeasureRequest, Row | None]:
        """Load nothing."""
        return _measure_requests

    def failure(self, item: MeasureRequest, reason: str) -> Row:
        """Return the row of an image whose workers died."""
        return {**identity_cells(item.record), "error": reason}


def measure_records(
    records: Sequence[Record],
    path: Path,
    *,
    progress: Progress = no_progress,
    cluster: "Cluster | None" = None,
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
    cluster
        Workers that measure, of `open_cluster`; None: this process.

    Raises
    ------
    ClusterError
        As for `run_job`.
    OutputError
        If the table cannot be written, is another kind of table, or has rows of other images.
    SettingsError
        If its format is unknown, or Parquet and `pyarrow` is missing.
    """
    total = len(records)
    with table_writer(path, (record.image.as_posix() for record in records)) as writer:
        requests = (
            MeasureRequest(record, writer.digest_before(record, None)) for record in records
        )
        progress(0, total)
        with closing(run_job(MeasureJob(), requests, total=total, cluster=cluster)) as rows:
            for done, row in enumerate(rows):
                if row is None:
                    writer.keep(records[done].image)
                else:
                    writer.add(row)
                progress(done + 1, total)
    return writer.result()


def has_digest(record: Record, digest: str) -> bool:
    """Check whether the files of a record still have a digest; an empty one is none."""
    try:
        return bool(digest) and digest_of(record) == digest
    except OSError:
        return False


def _measure_requests(requests: Iterable[MeasureRequest]) -> Iterator[Row | None]:
    for request in requests:
        stays = has_digest(request.record, request.digest)
        yield None if stays else row_of_record(request.record)


def _expected(record: Record, provenance: Provenance | None) -> Row:
    """Return the cells by which a row is recognised as still right, without the digest."""
    cells = provenance.cells() if provenance else confidence_cells(record)
    return {**cells, "version": __version__}


def _compared(provenance: Provenance | None) -> tuple[str, ...]:
    """Return the columns of how masks were predicted that have to agree.

    What a prediction says about itself is a result, and not known before.
    """
    return PROVENANCE if provenance else (*PROVENANCE, *PREDICTED)
