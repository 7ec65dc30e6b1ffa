"""Check a dataset: read every file and report every problem that would harm training."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam2lora.datasets.mask_encodings import ENCODINGS, MaskFile, Shape
from sam2lora.datasets.recognition import read_dataset
from sam2lora.datasets.records import Dataset, Record
from sam2lora.datasets.registry import DATASETS
from sam2lora.errors import ImageError
from sam2lora.images.decoding import image_suffix
from sam2lora.types import Mask

_LARGEST_SHARE = {"vessel": 0.35, "disc": 0.6, "cup": 0.5}
_LARGEST_SHARE_OF_OTHERS = 0.95  # user-defined targets: only nearly everything is suspicious
_LOSSY = frozenset({".jpg", ".jpeg", ".webp"})  # compression adds values to the two of a mask
_SHOWN_VALUES = 6


@dataclass(frozen=True, order=True)
class Problem:
    """One problem found in a dataset.

    Attributes
    ----------
    path
        The file, or the folder if no single file is the cause.
    text
        What is wrong with it.
    """

    path: Path
    text: str


@dataclass(frozen=True)
class DatasetReport:
    """The result of checking a dataset.

    Attributes
    ----------
    dataset
        The dataset as it was recognised.
    pairs
        Number of images with a mask, by (target, official split or None).
    problems
        The problems found, sorted by file.
    note
        What a user of the dataset should know.
    """

    dataset: Dataset
    pairs: Mapping[tuple[str, str | None], int]
    problems: tuple[Problem, ...]
    note: str


def check_dataset(
    root: Path,
    *,
    layout: str | None = None,
    target: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetReport:
    """Read every file of a dataset and report what is wrong.

    Parameters
    ----------
    root, layout, target
        As for `read_dataset`.
    progress
        Called with the number of images checked so far and their total.

    Raises
    ------
    DatasetError
        If there is no dataset.
    """
    dataset = read_dataset(root, layout=layout, target=target)
    problems = [Problem(path, "is a mask without an image") for path in dataset.unmatched_masks]
    problems += [
        Problem(path, "is among the images, but its name does not fit the layout: ignored")
        for path in dataset.unmatched_images
    ]
    problems += _missing_masks(dataset)
    problems += _patients_in_several_splits(dataset)
    for number, record in enumerate(dataset.records, start=1):
        problems += _check_record(record)
        if progress is not None:
            progress(number, len(dataset.records))
    pairs: Counter[tuple[str, str | None]] = Counter(
        (name, record.split) for record in dataset.records for name in record.masks
    )
    note = DATASETS[dataset.layout].note
    return DatasetReport(dataset, pairs, tuple(sorted(problems)), note)


def _missing_masks(dataset: Dataset) -> Iterator[Problem]:
    """Report images without a mask; a split without any mask is reported once."""
    has_fov = any(record.fov for record in dataset.records)
    by_split: dict[str | None, list[Record]] = defaultdict(list)
    for record in dataset.records:
        by_split[record.split].append(record)
    for split, records in by_split.items():
        for target in dataset.targets:
            without = [record for record in records if target not in record.masks]
            if len(without) == len(records) > 1:
                text = (
                    f"none of the {len(records)} images in {split or 'it'} has a mask of {target}"
                )
                yield Problem(dataset.root, text)
            else:
                yield from (Problem(r.image, f"has no mask of {target}") for r in without)
    if has_fov:
        for record in dataset.records:
            if record.fov is None:
                yield Problem(
                    record.image, "has no field of view, other images of the dataset have one"
                )


def _patients_in_several_splits(dataset: Dataset) -> Iterator[Problem]:
    by_patient: dict[str, list[Record]] = defaultdict(list)
    for record in dataset.records:
        if record.split is not None:
            by_patient[record.patient].append(record)
    for patient, records in by_patient.items():
        splits = {record.split for record in records}
        if len(splits) > 1:
            images = ", ".join(f"{record.image.name} ({record.split})" for record in records)
            yield Problem(records[0].image, f"patient {patient} is in several splits: {images}")


def _check_record(record: Record) -> Iterator[Problem]:
    try:
        shape = record.read_image().pixels.shape[:2]
    except ImageError as error:
        yield _unreadable(record.image, error)
        return
    for target, graders in record.masks.items():
        for file in graders:
            yield from _check_mask(file, target, record.image, shape)
    if record.fov is not None:
        yield from _check_mask(record.fov, None, record.image, shape)
    if record.ignored is not None:
        yield from _check_mask(record.ignored, "ignored pixels", record.image, shape)


def _check_mask(file: MaskFile, target: str | None, image: Path, shape: Shape) -> Iterator[Problem]:
    """Check one mask of a target, or of the field of view (None)."""
    encoding = ENCODINGS[file.encoding]
    try:
        values = encoding.read(file.path, shape)
    except ImageError as error:
        yield _unreadable(file.path, error)
        return
    if values.shape != shape:
        yield Problem(
            file.path,
            f"is {values.shape[1]} × {values.shape[0]}, but {image.name} is "
            f"{shape[1]} × {shape[0]} (width × height)",
        )
        return
    if encoding.levels is not None and image_suffix(file.path) not in _LOSSY:
        yield from _unexpected_values(file.path, np.unique(values), encoding.levels)
    mask = encoding.select(values)
    what = target or "the field of view"
    if not mask.any():
        if not encoding.may_be_empty:
            yield Problem(file.path, f"the mask of {what} is empty")
    elif mask.all():
        yield Problem(file.path, f"the mask of {what} covers the whole image")
    elif looks_inverted(mask, target):
        yield Problem(
            file.path, f"the mask of {what} covers {mask.mean():.0%} of the image: inverted?"
        )


def looks_inverted(mask: Mask, target: str | None) -> bool:
    """Check whether a mask seems inverted.

    The mask of a target does if it covers more than the target can; that of a field of view (None)
    if the middle of the image is not in it.
    """
    if target is None:
        height, width = mask.shape
        return not bool(mask[height // 2, width // 2])
    share = int(np.count_nonzero(mask)) / mask.size  # faster than the mean
    return share > _LARGEST_SHARE.get(target, _LARGEST_SHARE_OF_OTHERS)


def _unexpected_values(
    path: Path, values: np.ndarray[tuple[int], np.dtype[np.generic]], levels: frozenset[int] | int
) -> Iterator[Problem]:
    if isinstance(levels, int):
        unexpected, expected = len(values) > levels, f"{levels} values"
    else:
        unexpected, expected = not levels.issuperset(values.tolist()), f"only {sorted(levels)}"
    if unexpected:
        shown = ", ".join(f"{value:g}" for value in values[:_SHOWN_VALUES].tolist())
        more = f", … ({len(values)} in all)" if len(values) > _SHOWN_VALUES else ""
        yield Problem(path, f"holds the values {shown}{more}; expected {expected}")


def _unreadable(path: Path, error: ImageError) -> Problem:
    return Problem(path, str(error).removeprefix(f"{path}: ").rstrip("."))
