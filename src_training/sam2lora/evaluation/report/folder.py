"""The folder of a report: written beside its place, and moved there when it is complete."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.errors import OutputError
from sam2lora.utils.files import make_folder
from sam2lora.utils.folders import new_folder

MASKS = "masks"

_MARKS = ("report.json", "comparison.json", "cup_disc.csv")
_OWN = re.compile(
    r"masks|report\.(json|md)|per_image\.csv|comparison\.(json|md)|differences\.(csv|png)"
    r"|cup_disc\.(csv|md)|(dice|roc|thresholds)\.png|overview(_[0-9a-z+]+)?\.png"
)


def check_place(out: Path) -> None:
    """Prove that a report can be written to `out`, without changing what is there.

    Raises
    ------
    OutputError
        If there is something else than an older report, or the place cannot be written.
    """
    make_folder(out.parent)
    if out.exists():
        _check_is_report(out)


def check_apart(out: Path, *reports: Path) -> None:
    """Refuse a folder for results that is one of the reports they are from, or holds one.

    Raises
    ------
    OutputError
        If it is.
    """
    for report in reports:
        if out.resolve() in (report.resolve(), *report.resolve().parents):
            raise OutputError(
                f"{out}: the result would replace the report {report}. Choose another place with "
                "--out."
            )


@contextmanager
def report_folder(out: Path) -> Iterator[Path]:
    """Create an empty folder beside `out`, moved there when the block ends without error.

    An older report is replaced only then; on any error the new one is deleted. Where a process is
    killed while it replaces, the older one is back when `out` is written or read next.

    Raises
    ------
    OutputError
        As `check_place`, or if the operating system refuses to write.
    """
    # Not the link, if `out` is one: what it leads to is the report.
    with new_folder(out.resolve(), replace=True, check=_check_is_report) as folder:
        yield folder


def _check_is_report(out: Path) -> None:
    """Refuse to replace anything but a report or an empty folder."""
    if not out.is_dir():
        raise OutputError(f"{out}: is a file. Choose another place with --out.")
    names = sorted(path.name for path in out.iterdir())
    if not names:
        return
    if not any(name in names for name in _MARKS):
        raise OutputError(f"{out}: is not empty and no report. Choose another place with --out.")
    foreign = [name for name in names if not _OWN.fullmatch(name)]
    if foreign:
        raise OutputError(
            f"{out}: holds {foreign[0]!r}, which is no part of a report, so it is not replaced. "
            "Choose another place with --out."
        )
