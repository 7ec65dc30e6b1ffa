"""Split records so that no patient is in two parts, reproducibly on every machine."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from sam2lora.datasets.records import Record
from sam2lora.errors import DatasetError, SettingsError
from sam2lora.utils.names import natural_key


def split_by_patient(
    records: Sequence[Record], *, fractions: Mapping[str, float], seed: int
) -> dict[str, list[Record]]:
    """Split records into parts, whole patients at a time.

    The order of the patients depends only on the seed and their names (SHA-256), not on the order
    of the records or the machine.

    Parameters
    ----------
    records
        Records of one or several datasets; patients of different datasets are different patients.
    fractions
        Share of the patients in each part, by its name; the shares add up to 1.
    seed
        Random seed of the split.

    Returns
    -------
    The records of each part, sorted by dataset and stem; at least one patient in each part.

    Raises
    ------
    DatasetError
        If the shares do not add up to 1, or there are fewer patients than parts.
    """
    if min(fractions.values(), default=0) <= 0 or not math.isclose(sum(fractions.values()), 1):
        shares = ", ".join(f"{name} {share:g}" for name, share in fractions.items()) or "none"
        raise DatasetError(
            f"The shares of a split must be positive and add up to 1, not: {shares}."
        )
    patients = sorted({_patient(record) for record in records})
    if len(patients) < len(fractions):
        raise DatasetError(
            f"{len(patients)} patients in {len(records)} images cannot be split into "
            f"{len(fractions)} parts ({', '.join(fractions)}): each needs at least one patient."
        )
    patients.sort(key=lambda patient: (_random_key(seed, patient), patient))
    part_of: dict[tuple[str, str], str] = {}
    first = 0
    for name, count in _counts(fractions, len(patients)).items():
        part_of |= dict.fromkeys(patients[first : first + count], name)
        first += count
    parts: dict[str, list[Record]] = {name: [] for name in fractions}
    for record in sorted(records, key=record_order):
        parts[part_of[_patient(record)]].append(record)
    return parts


def official_split(records: Sequence[Record], name: str) -> list[Record]:
    """Return the records of one official split, sorted by dataset and stem.

    Raises
    ------
    DatasetError
        If there are none; the message lists the available splits.
    """
    chosen = [record for record in records if record.split == name]
    if not chosen:
        splits = ", ".join(sorted({record.split for record in records if record.split}))
        raise DatasetError(
            f"No image is in the official split {name!r}. "
            + (f"There are: {splits}." if splits else "There is no official split.")
        )
    return sorted(chosen, key=record_order)


def record_order(record: Record) -> tuple[Any, ...]:
    """Return the key that sorts records by dataset, then by stem as people count."""
    return record.dataset, natural_key(record.stem)


def _patient(record: Record) -> tuple[str, str]:
    return record.dataset, record.patient


def _random_key(seed: int, patient: tuple[str, str]) -> str:
    return hashlib.sha256("\0".join([str(seed), *patient]).encode()).hexdigest()


def _counts(fractions: Mapping[str, float], total: int) -> dict[str, int]:
    """Divide `total` by largest remainders, at least one for each part."""
    counts = {name: max(1, math.floor(share * total)) for name, share in fractions.items()}
    while (missing := total - sum(counts.values())) != 0:
        deficit = {name: share * total - counts[name] for name, share in fractions.items()}
        if missing > 0:
            counts[max(deficit, key=lambda name: deficit[name])] += 1
        else:
            above_one = [name for name in counts if counts[name] > 1]
            counts[min(above_one, key=lambda name: deficit[name])] -= 1
    return counts


def check_expression(text: str | None) -> str | None:
    """Return `text` unchanged if it is a regular expression or None.

    Raises
    ------
    SettingsError
        If it is not a regular expression; the message gives the position of the error.
    """
    try:
        re.compile(text or "")
    except re.error as error:
        raise SettingsError(f"{text!r} is not a regular expression ({error}).") from error
    return text


def _is_expression(text: str | None) -> str | None:
    try:
        return check_expression(text)
    except SettingsError as error:
        raise ValueError(str(error)) from error


Expression = Annotated[str | None, AfterValidator(_is_expression)]
"""A setting that is a regular expression, or None."""


def filter_by_stem(
    records: Sequence[Record],
    root: Path | str,
    *,
    include: str | None = None,
    exclude: str | None = None,
) -> list[Record]:
    """Select records by their stems.

    Parameters
    ----------
    records
        Records of one dataset.
    root
        Folder of the dataset, for the error message.
    include
        Regular expression; only stems in which it is found are kept. None keeps all.
    exclude
        Regular expression; stems in which it is found are left out. None leaves out none.

    Raises
    ------
    DatasetError
        If nothing is left.
    """
    kept = [
        record
        for record in records
        if (include is None or re.search(include, record.stem))
        and not (exclude is not None and re.search(exclude, record.stem))
    ]
    if not kept:
        raise DatasetError(
            f"{root}: none of its {len(records)} images is left by include {include!r} and exclude "
            f"{exclude!r}. They are searched in stems such as {records[0].stem!r}."
        )
    return kept
