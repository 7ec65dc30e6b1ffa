"""Split records so that no patient is on both sides, the same way on every machine."""

import hashlib
import math
from collections.abc import Mapping, Sequence

from sam2lora.datasets.records import Record
from sam2lora.errors import DatasetError


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
