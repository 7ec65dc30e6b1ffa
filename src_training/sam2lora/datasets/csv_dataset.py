"""Read a dataset that is described by a CSV file.

One row is one image: the column `image`, a column for each target, and optionally `fov`, `ignore`,
`patient` and `split`. Paths are relative to the folder of the CSV file; an empty cell means that
there is no such file.
"""

import csv
import io
from collections import Counter
from pathlib import Path

from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.datasets.records import Record, Split, patient_from_name
from sam2lora.errors import DatasetError
from sam2lora.images.decoding import image_stem
from sam2lora.images.reading import eye_from_name
from sam2lora.targets import all_targets
from sam2lora.utils.csv_files import original_text
from sam2lora.utils.files import is_file
from sam2lora.utils.names import existing_spelling

TABLE_NAME = "dataset.csv"
"""Name of the CSV file that makes its folder a dataset."""

_SPLITS: dict[str, Split | None] = {
    "": None,
    "train": "train",
    "training": "train",
    "val": "val",
    "validation": "val",
    "test": "test",
}
_SHOWN = 3  # missing files named in the error; the rest are counted
_LONGEST = 300  # characters of a name in the error


def read_table(path: Path) -> list[Record]:
    """Read the records of a CSV file, in the order of its rows.

    Commas or semicolons separate the columns. Columns other than those above are ignored.

    Raises
    ------
    DatasetError
        If the file is not such a table, a row is invalid, or a file it names does not exist.
    """
    rows = read_rows(path)
    columns = list(rows[0][1]) if rows else []
    targets = [name for name in columns if name in all_targets()]
    if "image" not in columns or not targets:
        raise DatasetError(
            f"{path}: needs a column `image` and one for each target ({', '.join(all_targets())}); "
            f"its columns: {', '.join(columns) or 'none, or no rows'}."
        )
    stems = _stems([row["image"] for _, row in rows])
    records = [
        _record(path, number, row, targets, stem)
        for (number, row), stem in zip(rows, stems, strict=True)
    ]
    _require_files(path, records)
    return records


def read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return (line number, cells by column) of each line that is not blank; cells are stripped.

    Raises
    ------
    DatasetError
        If the file cannot be read, is empty, or its lines do not fit its header.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise DatasetError(f"{path}: cannot be read as a CSV file ({reason}).") from error
    lines = io.StringIO(text, newline="")  # cells may hold line breaks
    header = next(lines, "")
    delimiter = ";" if header.count(";") > header.count(",") else ","
    lines.seek(0)
    reader = csv.reader(lines, delimiter=delimiter)
    try:
        table = [(reader.line_num, [original_text(cell.strip()) for cell in row]) for row in reader]
    except csv.Error as error:
        raise DatasetError(f"{path}: cannot be read as a CSV file ({error}).") from error
    if not table:
        raise DatasetError(f"{path}: the file is empty.")
    columns = [name.lower() for name in table[0][1]]
    for name, count in Counter(columns).items():
        if count > 1:
            raise DatasetError(f"{path}: the column {name!r} appears {count} times.")
    rows = [(number, row) for number, row in table[1:] if any(row)]
    for number, row in rows:
        if len(row) != len(columns):
            raise DatasetError(
                f"{path}: line {number} has {len(row)} cells, the header has {len(columns)}."
            )
    return [(number, dict(zip(columns, row, strict=True))) for number, row in rows]


def _record(path: Path, number: int, row: dict[str, str], targets: list[str], stem: str) -> Record:
    split = row.get("split", "").lower()
    if not row["image"]:
        raise DatasetError(f"{path}: line {number} names no image.")
    if split not in _SPLITS:
        raise DatasetError(
            f"{path}: line {number} has the split {row['split']!r}; use train, val or test."
        )
    return Record(
        dataset=path.stem if path.name != TABLE_NAME else path.absolute().parent.name,
        stem=stem,
        image=_path(path, row["image"]),
        masks={
            name: (MaskFile(_path(path, row[name]), "half", target=name),)
            for name in targets
            if row[name]
        },
        fov=MaskFile(_path(path, row["fov"]), "half") if row.get("fov") else None,
        patient=row.get("patient") or patient_from_name(stem),
        eye=eye_from_name(stem),
        split=_SPLITS[split],
        ignored=MaskFile(_path(path, row["ignore"]), "half") if row.get("ignore") else None,
    )


def _path(table: Path, cell: str) -> Path:
    path = table.parent / cell.replace("\\", "/")
    return path if cell.isascii() else existing_spelling(path)


def _stems(images: list[str]) -> list[str]:
    """Return the images' file names without extension, with their folders where names repeat."""
    paths = [Path(image.replace("\\", "/")) for image in images]
    names = [image_stem(path) for path in paths]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else "_".join([*_folders(path), name])
        for name, path in zip(names, paths, strict=True)
    ]


def _folders(path: Path) -> list[str]:
    return [part for part in path.parts[:-1] if part != path.anchor and part != ".."]


def _require_files(path: Path, records: list[Record]) -> None:
    missing = [file for record in records for file in record.files() if not is_file(file)]
    if missing:
        shown = ", ".join(_shorten(str(file)) for file in missing[:_SHOWN])
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise DatasetError(
            f"{path}: names files that do not exist: {shown}{more}. "
            "Paths are relative to the folder of the CSV file."
        )


def _shorten(text: str) -> str:
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"
