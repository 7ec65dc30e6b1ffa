"""A session as one table and one JSON file: states, times, graders, and what the masks measure.

A row is one image and one grader. Numbers, quality and comments are given once all graders are done
with an image, as a cup/disc ratio tells a grader what another one saw.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sam2lora import __version__
from sam2lora.cohort.record_row import reason_of
from sam2lora.errors import Sam2LoraError
from sam2lora.grading.entries import WorkEntry, read_entries
from sam2lora.grading.grades import ImageGrade
from sam2lora.grading.review import Review
from sam2lora.grading.session import GRADERS, LOG
from sam2lora.grading.session_file import SessionImage
from sam2lora.images.field_of_view import find_field_of_view
from sam2lora.images.reading import read_image
from sam2lora.measurements import DEFINITIONS, measure_eye
from sam2lora.targets import FOVEA
from sam2lora.utils.csv_files import write_csv
from sam2lora.utils.files import atomic_path, make_folder
from sam2lora.utils.progress import Progress, no_progress

_IMAGE = ("stem", "file_name", "sha256", "patient", "eye", "dataset")
_GRADE = ("grader", "state", "reason", "quality", "comment", "minutes", "changed", "predicted_by")
COLUMNS = (*_IMAGE, *_GRADE, *DEFINITIONS, "warnings", "error")
"""Columns of the table, in order."""

_Row = dict[str, Any]


def session_rows(
    review: Review, *, numbers: bool = True, progress: Progress = no_progress
) -> Iterator[_Row]:
    """Yield a row for each image and grader; cells that are missing are not known.

    Parameters
    ----------
    review
        The graders' work.
    numbers
        Whether the masks are measured, which takes reading the images.
    progress
        Called with the number of images.
    """
    images = review.session.images
    for done, image in enumerate(images, start=1):
        is_open = not review.sealed_by(image.stem)
        measured = _measured(review, image) if numbers and is_open else {}
        for grader in review.graders:
            grade = review.grade(grader, image.stem)
            yield {
                **{name: getattr(image, name) for name in _IMAGE},
                "grader": grader,
                **_cells(grade, is_open=is_open),
                **measured.get(grader, {}),
            }
        progress(done, len(images))


def write_session_table(
    out: Path, review: Review, *, numbers: bool = True, progress: Progress = no_progress
) -> tuple[Path, Path]:
    """Write a session to `session.csv` and `session.json` in a folder, created if missing.

    The JSON file has the rows of the table, and besides them each interval of work.

    Raises
    ------
    OutputError
        If the folder lies in the session, or a file cannot be written.
    SessionError
        If a log cannot be read.
    """
    review.session.check_outside(out)
    make_folder(out)
    rows = list(session_rows(review, numbers=numbers, progress=progress))
    table, document = out / "session.csv", out / "session.json"
    write_csv(table, COLUMNS, ({name: _rounded(row.get(name)) for name in row} for row in rows))
    intervals = {name: _intervals(review, name) for name in review.graders}
    content = {
        "version": __version__,
        "created": review.session.created.isoformat(),
        "graders": review.graders,
        "unreadable_lines": review.unreadable,
        "rows": [row | {"work": intervals[row["grader"]].get(row["stem"], [])} for row in rows],
    }
    with atomic_path(document) as temporary:
        text = json.dumps(content, indent=1, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    return table, document


def _cells(grade: ImageGrade, *, is_open: bool) -> _Row:
    return {
        "state": grade.state,
        "reason": grade.reason,
        "quality": grade.quality if is_open else None,
        "comment": grade.comment if is_open else "",
        "minutes": grade.seconds / 60,
        "changed": None if grade.changed is None else grade.changed.isoformat(),
        "predicted_by": "; ".join(
            f"{target}: {one.adapter or 'no adapter'} ({one.model})"
            for target, one in grade.predictions.items()
        ),
    }


def _measured(review: Review, image: SessionImage) -> Mapping[str, _Row]:
    """Measure the masks of every grader in one image; a failure becomes a cell."""
    rows: dict[str, _Row] = {}
    try:
        read = read_image(review.session.found_path(image.stem))
        field = find_field_of_view(read.pixels)
        drawn, points = review.masks(image.stem), review.points(image.stem)
    except Sam2LoraError as error:
        reason = reason_of(review.session.path(image.stem), error)
        return {name: {"error": reason} for name in review.graders}
    for name in review.graders:
        fovea = points[name].get(FOVEA.name)
        found = measure_eye(
            drawn[name],
            field,
            spacing=read.spacing,
            eye=image.eye or read.eye,
            fovea=(fovea.x, fovea.y) if fovea else None,
        )
        rows[name] = {**found.values, "warnings": " ".join(found.warnings)}
    return rows


def _intervals(review: Review, grader: str) -> dict[str, list[dict[str, str]]]:
    entries = read_entries(review.session.folder / GRADERS / grader / LOG)
    found: dict[str, list[dict[str, str]]] = {}
    for entry in entries:
        if isinstance(entry, WorkEntry):
            interval = {"start": entry.start.isoformat(), "end": entry.end.isoformat()}
            found.setdefault(entry.image, []).append(interval)
    return found


def _rounded(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value
