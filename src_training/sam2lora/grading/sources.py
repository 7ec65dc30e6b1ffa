"""Images for a session: from a table (image, patient, eye), data sets, folders, files, patterns."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sam2lora.datasets import Record, read_dataset
from sam2lora.datasets.csv_dataset import TABLE_NAME, read_rows, read_table
from sam2lora.datasets.image_search import dataset_in_folder, find_images
from sam2lora.datasets.records import Split, patient_from_name
from sam2lora.errors import DatasetError, Sam2LoraError
from sam2lora.images.decoding import image_stem
from sam2lora.images.reading import eye_from_name
from sam2lora.types import Eye
from sam2lora.utils.files import is_file
from sam2lora.utils.names import existing_spelling, is_reserved

_EYES: Mapping[str, Eye | None] = {
    **dict.fromkeys(("left", "l", "os"), "left"),
    **dict.fromkeys(("right", "r", "od"), "right"),
    "": None,
}


@dataclass(frozen=True)
class SourceImage:
    """An image that is to be graded.

    Attributes
    ----------
    path
        Its file.
    stem
        Its name in the session, which can be used in file names; made unique there.
    patient
        Identifies the patient.
    eye
        Its side, where known.
    dataset
        Name of the dataset that it comes from; empty if it is in none.
    split
        The official split of that dataset it belongs to; None if there is none.
    """

    path: Path
    stem: str
    patient: str
    eye: Eye | None = None
    dataset: str = ""
    split: Split | None = None


def list_sources(inputs: Sequence[str | Path]) -> list[SourceImage]:
    """List the images given by tables, data sets, folders, files and patterns.

    Parameters
    ----------
    inputs
        A CSV file with the column `image` and optionally `patient`, `eye` (left or right, L or R,
        OS or OD) and `dataset`, its paths relative to its folder; or what `find_images` takes. A
        recognised dataset gives patients, eyes and splits, whether or not an image has masks; an
        image given otherwise has the split of the dataset whose folder it lies in.

    Raises
    ------
    DatasetError
        If a table or a dataset cannot be used.
    ImageError
        If an input has no image.
    """
    found: dict[Path, SourceImage] = {}
    splits = _Splits()
    for given in inputs:
        for source in _sources_of(existing_spelling(Path(given).expanduser()), splits):
            found.setdefault(source.path, source)
    return list(found.values())


def _sources_of(given: Path, splits: "_Splits") -> Iterator[SourceImage]:
    if given.suffix.lower() == ".csv" and given.is_file():
        yield from _of_table(given, splits)
        return
    records = _records_in(given) if given.is_dir() else {}
    for path in find_images([given]):
        record = records.get(path.resolve())
        yield _of_path(path, splits.of(path)) if record is None else _of_record(record)


class _Splits:
    """Splits of images that are given one by one; each folder is read once."""

    def __init__(self) -> None:
        self._folders: dict[Path, Mapping[Path, Record]] = {}

    def of(self, path: Path) -> Split | None:
        """Return the split of an image; None if its folder belongs to no dataset."""
        file = path.resolve()
        if file.parent not in self._folders:
            try:
                self._folders[file.parent] = _records_around(file.parent)
            except (Sam2LoraError, OSError):  # the image can be graded nevertheless
                self._folders[file.parent] = {}
        record = self._folders[file.parent].get(file)
        return None if record is None else record.split


def _records_around(folder: Path) -> dict[Path, Record]:
    """Return the records of the dataset that a folder of images belongs to, by image."""
    tables = (place / TABLE_NAME for place in (folder, *folder.parents[:2]))
    table = next(filter(is_file, tables), None)
    return _records_in(folder) if table is None else _by_image(read_table(table))


def _records_in(folder: Path) -> dict[Path, Record]:
    """Return the records of the dataset that a folder stands for, by image; none if it is plain."""
    dataset = dataset_in_folder(folder)
    if dataset is None:
        return {}
    return _by_image(read_dataset(dataset.root, layout=dataset.layout.name).records)


def _by_image(records: Iterable[Record]) -> dict[Path, Record]:
    return {record.image.resolve(): record for record in records}


def _of_table(path: Path, splits: _Splits) -> Iterator[SourceImage]:
    for number, row in read_rows(path):
        where = f"{path}: line {number}"
        if "image" not in row:
            raise DatasetError(f"{path}: needs a column `image`; it has: {', '.join(row)}.")
        if not row["image"]:
            raise DatasetError(f"{where} names no image.")
        file = existing_spelling(path.parent / row["image"].replace("\\", "/"))
        if not is_file(file):
            raise DatasetError(
                f"{where} names {file}, which does not exist. Paths are relative to the folder of "
                "the table."
            )
        side = row.get("eye", "").lower()
        if side not in _EYES:
            raise DatasetError(f"{where} has the eye {row['eye']!r}; use left or right.")
        plain = _of_path(file, splits.of(file))
        yield SourceImage(
            file,
            plain.stem,
            row.get("patient") or plain.patient,
            _EYES[side] or plain.eye,
            row.get("dataset", ""),
            plain.split,
        )


def _of_record(record: Record) -> SourceImage:
    return SourceImage(
        record.image,
        safe_stem(record.stem),
        record.patient,
        record.eye,
        record.dataset,
        record.split,
    )


def _of_path(path: Path, split: Split | None) -> SourceImage:
    stem = image_stem(path)
    patient, eye = patient_from_name(stem), eye_from_name(stem)
    return SourceImage(path, safe_stem(stem), patient, eye, split=split)


def safe_stem(stem: str) -> str:
    """Return a name that any system can have in a file name: no separator, and no dot first."""
    composed = unicodedata.normalize("NFC", stem)
    safe = re.sub(r"[^\w. -]+", "_", composed).strip(" .") or "image"
    return f"_{safe}" if is_reserved(safe) else safe
