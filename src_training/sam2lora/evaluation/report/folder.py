"""The folder of a report: written next to its destination, and moved there once complete."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.errors import OutputError
from sam2lora.utils.files import make_folder
from sam2lora.utils.folders import new_folder

MASKS = "masks"

_MARKERS = ("report.json", "points.json", "comparison.json", "cup_disc.csv")
_REPORT_FILES = re.compile(
    r"masks|report\.(json|md)|points\.json|per_image\.csv|comparison\.(json|md)|differences\.(csv|png)"
    r"|cup_disc\.(csv|md)|(dice|roc|thresholds)\.png|overview(_[0-9a-z+]+)?\.png"
)


def check_output(out: Path) -> None:
    """Check whether a report can be written to `out`, without changing it.

    Raises
    ------
    OutputError
        If `out` holds anything but a report, or cannot be written.
    """
    make_folder(out.parent)
    if out.exists():
        _check_is_report(out)


def check_apart(out: Path, *reports: Path) -> None:
    """Check whether the output folder differs from its source reports and contains none of them.

    Raises
    ------
    OutputError
        If it is or contains one of the reports.
    """
    for report in reports:
        if out.resolve() in (report.resolve(), *report.resolve().parents):
            raise OutputError(
                f"{out}: the result would replace the report {report}. Choose another folder with "
                "--out."
            )


@contextmanager
def report_folder(out: Path) -> Iterator[Path]:
    """Create an empty folder next to `out`, moved there when the block ends without error.

    An existing report is replaced only then; on any error the new one is deleted. If the process is
    killed while replacing, the old report is restored when `out` is next written or read.

    Raises
    ------
    OutputError
        As for `check_output`, or if the operating system refuses to write.
    """
    # A symbolic link is resolved, so that the report it points to is replaced.
    with new_folder(out.resolve(), replace=True, check=_check_is_report) as folder:
        yield folder


def _check_is_report(out: Path) -> None:
    """Check whether a folder is a report or empty, so that it may be replaced."""
    if not out.is_dir():
        raise OutputError(f"{out}: is a file. Choose another folder with --out.")
    names = sorted(path.name for path in out.iterdir())
    if not names:
        return
    if not any(name in names for name in _MARKERS):
        raise OutputError(
            f"{out}: is not empty and not a report. Choose another folder with --out."
        )
    foreign = [name for name in names if not _REPORT_FILES.fullmatch(name)]
    if foreign:
        raise OutputError(
            f"{out}: contains {foreign[0]!r}, which is no part of a report, so it is not replaced. "
            "Choose another folder with --out."
        )
