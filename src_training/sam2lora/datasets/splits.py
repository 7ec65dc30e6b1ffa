"""Split records so that no patient is on both sides, the same way on every machine."""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from sam2lora.datasets.records import Record
from sam2lora.errors import DatasetError, SettingsError


def split_by_patient(
    records: Sequence[Record], *, fractions: Mapping[str, float], seed: int
) -> dict[str, list[Record]]:
    """Split records into parts, whole patients at a time.

    Patients are put in an order drawn from the seed and their name alone (SHA-256), so that neither
    the order of the records nor the machine matters.

    Parameters
    ----------
    records
        Records of one data set or several; patients of different sets are different people.
    fractions
        Name of each part to its share of the patients; the shares add up to 1.
    seed
        Draws another split.

    Returns
    -------
    Name of each part to its records, sorted by data set and stem; at least one patient each.

    Raises
    ------
    DatasetError
        If the shares do not add up to 1, or there are fewer patients than parts.
    """
    if min(fractions.values(), default=0) <= 0 or not math.isclose(sum(fractions.values()), 1):
        shares = ", ".join(f"{name} {share:g}" for name, share in fractions.items()) or "none"
        raise DatasetError(
            f"The shares of a split must be positive and add up to 1; got: {shares}."
        )
    patients = sorted({_patient(record) for record in records})
    if len(patients) < len(fractions):
        raise DatasetError(
            f"{len(patients)} patients in {len(records)} images cannot be split into "
            f"{len(fractions)} parts ({', '.join(fractions)}): each needs a patient of its own."
        )
    patients.sort(key=lambda patient: (_draw(seed, patient), patient))
    part_of: dict[tuple[str, str], str] = {}
    first = 0
    for name, count in _counts(fractions, len(patients)).items():
        part_of |= dict.fromkeys(patients[first : first + count], name)
        first += count
    parts: dict[str, list[Record]] = {name: [] for name in fractions}
    for record in sorted(records, key=lambda record: (record.dataset, record.stem)):
        parts[part_of[_patient(record)]].append(record)
    return parts


def official_split(records: Sequence[Record], name: str) -> list[Record]:
    """Give the records on one side of the official split, sorted by data set and stem.

    Raises
    ------
    DatasetError
        If there are none; the message lists the splits there are.
    """
    chosen = [record for record in records if record.split == name]
    if not chosen:
        splits = ", ".join(sorted({record.split for record in records if record.split}))
        raise DatasetError(
            f"No image is in the official split {name!r}. "
            + (f"There are: {splits}." if splits else "There is no official split.")
        )
    return sorted(chosen, key=lambda record: (record.dataset, record.stem))


def _patient(record: Record) -> tuple[str, str]:
    return record.dataset, record.patient


def _draw(seed: int, patient: tuple[str, str]) -> str:
    return hashlib.sha256("\0".join([str(seed), *patient]).encode()).hexdigest()


def _counts(fractions: Mapping[str, float], total: int) -> dict[str, int]:
    """Share out `total` by largest remainders, at least one each."""
    counts = {name: max(1, math.floor(share * total)) for name, share in fractions.items()}
    while (missing := total - sum(counts.values())) != 0:
        behind = {name: share * total - counts[name] for name, share in fractions.items()}
        if missing > 0:
            counts[max(behind, key=lambda name: behind[name])] += 1
        else:
            above_one = [name for name in counts if counts[name] > 1]
            counts[min(above_one, key=lambda name: behind[name])] -= 1
    return counts


def check_expression(text: str | None) -> str | None:
    """Give `text` back if it is a regular expression, or None.

    Raises
    ------
    SettingsError
        If it is none; the message says where it goes wrong.
    """
    try:
        re.compile(text or "")
    except re.error as error:
        raise SettingsError(f"{text!r} is no regular expression ({error}).") from error
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
    """Choose records by their stems.

    Parameters
    ----------
    records
        Of one data set.
    root
        Where it is, for the message.
    include
        Regular expression; only stems it matches somewhere are kept. None: all.
    exclude
        Regular expression; stems it matches somewhere are left out. None: none.

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
            f"{exclude!r}. They match stems, such as {records[0].stem!r}."
        )
    return kept
