"""Read a CSV file of ellipses and points: discs, cups and foveas of images in other datasets.

One row is one structure in one image, so that a structure nobody could tell has no row, and an
image without it is not taken for one that shows nothing.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sam2lora.datasets.csv_dataset import read_rows
from sam2lora.datasets.ellipses import Ellipse, Landmark
from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.datasets.records import Record
from sam2lora.errors import DatasetError
from sam2lora.targets import all_targets, point_targets
from sam2lora.utils.names import plain_name

COLUMNS = ("dataset", "image", "structure", "cx", "cy", "rx", "ry")
"""Columns that every such file has; `angle` and `grade` may be missing."""

_Row = Mapping[str, str]


def is_ellipse_table(path: Path) -> bool:
    """Check whether a CSV file has the columns of ellipses; a file that cannot be read has not."""
    try:
        rows = read_rows(path)
    except DatasetError:
        return False
    return bool(rows) and set(COLUMNS) <= rows[0][1].keys()


def read_ellipses(path: Path, records_in: Callable[[Path], Sequence[Record]]) -> list[Record]:
    """Read the records of a CSV file of ellipses, in the order in which their images appear.

    They are those of the datasets that it names, with its ellipses as their masks: images, fields
    of view and patients are the datasets' own. None has a split, since the file itself is a part.
    Rows without radii are points; those of structures that are masks, or unknown, are left out.

    Parameters
    ----------
    path
        The CSV file. Its column `dataset` is a folder from the file's own folder, or else from the
        folder around that.
    records_in
        Lists the records of the dataset in a folder.

    Raises
    ------
    DatasetError
        If a row is invalid, its folder or image is missing, or two rows are of one structure.
    """
    known, points = all_targets(), point_targets()
    by_image, found = dict[tuple[Path, str], Record](), list[Path]()
    datasets: dict[str, Path] = {}
    masks: dict[tuple[Path, str], dict[str, tuple[MaskFile, ...]]] = {}
    for number, row in read_rows(path):
        structure, drawn = row["structure"], _drawn(path, number, row)
        if isinstance(drawn, Landmark) and structure not in points:
            continue
        if isinstance(drawn, Ellipse) and structure not in known:
            raise DatasetError(
                f"{path}: line {number} has the structure {structure!r}; use one of: "
                f"{', '.join(known)}."
            )
        if row["dataset"] not in datasets:
            datasets[row["dataset"]] = _folder(path, number, row["dataset"])
        folder = datasets[row["dataset"]]
        if folder not in found:
            found.append(folder)
            by_image |= {(folder, plain_name(one.stem)): one for one in records_in(folder)}
        key = (folder, plain_name(row["image"]))
        if key not in by_image:
            raise DatasetError(
                f"{path}: line {number} names the image {row['image']!r}, which is not in {folder}."
            )
        of_image = masks.setdefault(key, {})
        if structure in of_image:
            raise DatasetError(
                f"{path}: line {number} is a second {structure} of {row['image']}. Remove one."
            )
        of_image[structure] = (MaskFile(path, "nonzero", target=structure, drawn=drawn),)
    if not masks:
        raise DatasetError(f"{path}: has no ellipse.")
    return [
        replace(by_image[key], masks=of_image, split=None, ignored=None)
        for key, of_image in masks.items()
    ]


def with_grades(record: Record, grades: Collection[str]) -> Record:
    """Return a record without the ellipses and points of other grades; other masks are kept."""
    kept = {
        target: tuple(file for file in files if file.drawn is None or file.drawn.grade in grades)
        for target, files in record.masks.items()
    }
    return replace(record, masks={target: files for target, files in kept.items() if files})


def _drawn(path: Path, number: int, row: _Row) -> Ellipse | Landmark:
    """Return the ellipse of a row, or its point if it has no radii."""
    point = not row["rx"] and not row["ry"]
    cells = [row[name] for name in (("cx", "cy") if point else ("cx", "cy", "rx", "ry"))]
    if not point:
        cells.append(row.get("angle") or "0")
    try:
        numbers = [float(cell) for cell in cells]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)) or (not point and min(numbers[2:4]) <= 0):
        raise DatasetError(
            f"{path}: line {number} has {', '.join(cells)}; cx, cy, rx, ry and angle are numbers, "
            "and the radii are above 0."
        )
    grade = row.get("grade", "")
    if point:
        return Landmark(numbers[0], numbers[1], grade)
    x, y, rx, ry, angle = numbers
    return Ellipse(x, y, rx, ry, angle, grade)


def _folder(path: Path, number: int, name: str) -> Path:
    if name:
        relative = name.replace("\\", "/")
        for start in (path.parent, path.parent.parent):
            if (start / relative).is_dir():
                return (start / relative).resolve()
    raise DatasetError(
        f"{path}: line {number} names the dataset {name!r}, and there is no such folder in "
        f"{path.parent} or {path.parent.parent}."
    )
