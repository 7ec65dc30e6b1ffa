"""The file beside predicted masks that says how sure each of them is.

One row is one mask: the image's file name, the target, and the confidence. Masks that were not
predicted again, and images that others predicted into the same folder, keep their rows.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from sam2lora.datasets.csv_dataset import read_rows
from sam2lora.errors import DatasetError, OutputError
from sam2lora.utils.csv_files import original_text, write_csv
from sam2lora.utils.pace import Pace

FILE_NAME = "confidence.csv"
_COLUMNS = ("image", "target", "confidence")

Confidences = Mapping[str, Mapping[str, float | None]]
"""By file name of the image and by target; None where it is not known."""


def update_confidences(folder: Path, found: Confidences) -> None:
    """Write the confidences of new masks; a mask whose confidence is not known loses its row.

    Without any row there is no new file.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    known = {(image, target): value for image, target, value in _rows(read_confidences(folder))}
    for image, target, value in _rows(found):
        known[image, target] = value
    rows = [
        {"image": image, "target": target, "confidence": f"{as_stored(value):.3f}"}
        for (image, target), value in sorted(known.items())
        if value is not None
    ]
    if rows or (folder / FILE_NAME).exists():
        write_csv(folder / FILE_NAME, _COLUMNS, rows)


class ConfidenceWriter:
    """The file of a folder that is being filled; it is written now and then.

    Parameters
    ----------
    folder
        The folder of the masks.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, Mapping[str, float | None]] = {}
        self._pace = Pace()

    def add(self, image: str, confidences: Mapping[str, float | None]) -> None:
        """Add the confidences of an image by target, none if nothing was predicted.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        if confidences:
            self._found[image] = confidences
        if self._pace.is_due():
            self.write()

    def write(self) -> None:
        """Write what was added.

        Raises
        ------
        OutputError
            If the file cannot be written.
        """
        if self._found:
            with self._pace.writing():
                update_confidences(self._folder, self._found)
            self._found = {}


@contextmanager
def confidence_writer(folder: Path) -> Iterator[ConfidenceWriter]:
    """Open the file of a folder, and write it at the end, however that comes."""
    writer = ConfidenceWriter(folder)
    try:
        yield writer
    except BaseException:
        with suppress(OutputError):  # which would hide what is being raised
            writer.write()
        raise
    writer.write()


def as_stored(confidence: float) -> float:
    """Return a confidence as it is read from the file again: with three digits."""
    return round(confidence, 3)


def read_confidences(folder: Path) -> dict[str, dict[str, float]]:
    """Read the file of a folder; what cannot be read counts as not known."""
    found: dict[str, dict[str, float]] = {}
    try:
        rows = read_rows(folder / FILE_NAME)
    except DatasetError:
        return found
    for _, row in rows:
        try:
            image, target, value = (row[name] for name in _COLUMNS)
            number = float(value)
        except (KeyError, ValueError):
            continue
        if 0 <= number <= 1:
            found.setdefault(original_text(image), {})[original_text(target)] = number
    return found


def _rows(found: Confidences) -> list[tuple[str, str, float | None]]:
    return [
        (image, target, value)
        for image, entries in found.items()
        for target, value in entries.items()
    ]
