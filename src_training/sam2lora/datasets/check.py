"""Check a dataset: read every file and report every problem that would harm training."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from sam2lora.datasets.inverted import IGNORED, looks_inverted, needs_field
from sam2lora.datasets.label_maps import LOSSY, NO_LABELS, Labels
from sam2lora.datasets.mask_encodings import ENCODINGS, MaskFile, Shape
from sam2lora.datasets.recognition import read_dataset
from sam2lora.datasets.records import Dataset, Record
from sam2lora.datasets.registry import DATASETS
from sam2lora.datasets.unturned import how_drawn, turned_upright
from sam2lora.errors import DatasetError, ImageError, Sam2LoraError, UnclearMaskError
from sam2lora.images.decoding import image_suffix
from sam2lora.types import Mask
from sam2lora.utils.names import natural_key

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
    labels: Labels = NO_LABELS,
    progress: Callable[[int, int], None] | None = None,
) -> DatasetReport:
    """Read every file of a dataset and report what is wrong.

    Parameters
    ----------
    root, layout, target, labels
        As for `read_dataset`.
    progress
        Called with the number of images checked so far and their total.

    Raises
    ------
    DatasetError
        If there is no dataset.
    """
    dataset = read_dataset(root, layout=layout, target=target, labels=labels)
    problems = [Problem(path, "is a mask that no image uses") for path in dataset.unmatched_masks]
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
    problems.sort(key=lambda problem: (natural_key(problem.path), problem.text))
    return DatasetReport(dataset, pairs, tuple(problems), note)


def check_masks(
    records: Iterable[Record], target: str, *, grader: int | Literal["union"] = 1
) -> list[Problem]:
    """Read the masks that are about to be used, and report those that seem inverted.

    Unreadable files are left to whoever reads them next.

    Parameters
    ----------
    records
        Records whose masks are used.
    target
        Name of the target.
    grader
        Grader of the masks, or "union".

    Raises
    ------
    DatasetError
        If what a mask shows is unclear: it is a label map, or there are two of one image; or none
        of the masks holds the labels the user named.
    """
    used = [record for record in records if target in record.masks]
    files = [(file, record) for record in used for file in record.masks_by(target, grader)]
    with ThreadPoolExecutor() as pool:  # decoding leaves the interpreter to others
        found = list(pool.map(lambda pair: _check_use(*pair), files))
    if files and files[0][0].labels and not any(result.marked for result in found):
        named = ", ".join(map(str, files[0][0].labels))
        raise DatasetError(
            f"{files[0][0].path}: none of the {len(files)} masks of {target} holds the labels "
            f"{named} that --labels names for it."
        )
    return [problem for result in found for problem in result.problems]


@dataclass(frozen=True)
class _Use:
    """What is known of a mask that is about to be used; unreadable ones count as marked."""

    marked: bool
    problems: tuple[Problem, ...] = ()


def _check_use(file: MaskFile, record: Record) -> _Use:
    try:
        mask = record.read_mask_file(file)
    except UnclearMaskError as error:
        raise DatasetError(str(error)) from error
    except Sam2LoraError:
        return _Use(True)
    inverted = _inverted(file, file.target, mask, record)
    # A mask that was turned on reading is clear.
    unclear = how_drawn(mask, mask.shape, record.image, target=file.target) == "unclear"
    problems = [inverted, _unclear(file, record) if unclear else None]
    return _Use(bool(mask.any()), tuple(problem for problem in problems if problem))


def _missing_masks(dataset: Dataset) -> Iterator[Problem]:
    """Report images without a mask; a split without any mask is reported once."""
    has_fov = {record.dataset for record in dataset.records if record.fov}
    by_split: dict[str | None, list[Record]] = defaultdict(list)
    for record in dataset.records:
        by_split[record.split].append(record)
    for split, records in by_split.items():
        if dataset.layout == "ellipses":  # what nobody could tell has no ellipse
            continue
        for target in dataset.targets:
            without = [record for record in records if target not in record.masks]
            if len(without) == len(records) > 1:
                text = (
                    f"none of the {len(records)} images in {split or 'it'} has a mask of {target}"
                )
                yield Problem(dataset.root, text)
            else:
                yield from (Problem(r.image, f"has no mask of {target}") for r in without)
    for record in dataset.records:
        if record.fov is None and record.dataset in has_fov:
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
            yield from _check_mask(file, target, record, shape)
    if record.fov is not None:
        yield from _check_mask(record.fov, None, record, shape)
    if record.ignored is not None:
        yield from _check_mask(record.ignored, IGNORED, record, shape)


def _check_mask(
    file: MaskFile, target: str | None, record: Record, shape: Shape
) -> Iterator[Problem]:
    """Check one mask of a target, or of the field of view (None)."""
    encoding = ENCODINGS[file.encoding]
    try:
        values = file.read_values(shape)
        mask = file.select(values)
    except ImageError as error:
        yield _unreadable(file.path, error)
        return
    drawn = how_drawn(mask, shape, record.image, target=file.target)
    if drawn == "unclear":
        yield _unclear(file, record)
    if drawn == "unturned":
        yield Problem(
            file.path,
            f"was drawn on {record.image.name} before its EXIF orientation turned it upright; it "
            "is read turned like the image",
        )
    elif mask.shape != shape:
        yield Problem(
            file.path,
            f"is {mask.shape[1]} × {mask.shape[0]}, but {record.image.name} is "
            f"{shape[1]} × {shape[0]} (width × height)",
        )
        return
    lossy = image_suffix(file.path) in LOSSY
    if encoding.levels is not None and not lossy and not file.has_labels():
        yield from _unexpected_values(file.path, np.unique(values), encoding.levels)
    what = target or "the field of view"
    if not mask.any():
        if not encoding.may_be_empty:
            yield Problem(file.path, f"the mask of {what} is empty")
    elif mask.all():
        yield Problem(file.path, f"the mask of {what} covers the whole image")
    else:
        inverted = _inverted(
            file, target, turned_upright(mask, shape, record.image, target=file.target), record
        )
        if inverted is not None:
            yield inverted


def _unclear(file: MaskFile, record: Record) -> Problem:
    return Problem(
        file.path,
        f"fits {record.image.name} both as it is stored and as its EXIF orientation turns it, and "
        "does not show on which it was drawn; it is read as drawn on the upright image",
    )


def _inverted(file: MaskFile, target: str | None, mask: Mask, record: Record) -> Problem | None:
    """Report a mask that seems inverted; the field of view is found only where it matters."""
    field = None
    if target not in (None, IGNORED) and needs_field(mask):
        with suppress(Sam2LoraError):
            field = record.read_field_of_view().mask
    if not looks_inverted(mask, target, field=field):
        return None
    what, share = target or "the field of view", f"{mask.mean():.0%}"
    return Problem(file.path, f"the mask of {what} covers {share} of the image: inverted?")


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
