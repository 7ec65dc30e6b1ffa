"""Split of the data into training and validation images: read, filtered, split by patient."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sam2lora.datasets import (
    Dataset,
    Record,
    filter_by_stem,
    official_split,
    read_dataset,
    split_by_patient,
)
from sam2lora.datasets.splits import record_order
from sam2lora.errors import DatasetError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.targets import get_target
from sam2lora.training.settings import DataSource, TrainSettings
from sam2lora.types import Mask
from sam2lora.utils.files import sha256_of


@dataclass(frozen=True)
class SplitRole:
    """Part of an image that is used for training, or for validation.

    The image is split at a row; the part below it holds `validation_share` of the target's pixels
    and is used for validation.
    """

    role: Literal["training", "validation"]
    validation_share: float


@dataclass(frozen=True)
class Item:
    """One image with the mask of one target, from which samples are cut."""

    record: Record
    target: str
    grader: Any
    part: SplitRole | None = None

    def valid(self, field: FieldOfView, marked: Mask) -> Mask:
        """Return the pixels of the item's part that count: in the field of view, not ignored.

        Parameters
        ----------
        field
            Field of view of the image.
        marked
            `(H, W)` bool: mask of the target.

        Returns
        -------
        `(H, W)` bool.

        Raises
        ------
        ImageError
            If the mask of ignored pixels cannot be read.
        """
        ignored = self.record.read_ignored()
        valid = field.mask if ignored is None else field.mask & ~ignored
        if self.part is None:
            return valid
        above = np.zeros_like(valid)
        above[: _split_row(marked & valid, self.part.validation_share)] = True
        return valid & above if self.part.role == "training" else valid & ~above


@dataclass(frozen=True)
class DataPlan:
    """The images of a training, split into training and validation.

    Attributes
    ----------
    groups
        Training items, one group for each data source and target; groups are sampled equally
        often, whatever their size.
    validation
        Validation items: those of the validation patients, for the main target only, spread over
        the sources.
    hashes
        SHA-256 of the images that had to be compared, so that the manifest need not read them
        again.
    """

    groups: tuple[tuple[Item, ...], ...]
    validation: tuple[Item, ...]
    hashes: Mapping[Path, str]

    @property
    def samples_per_epoch(self) -> int:
        """Number of training items."""
        return sum(len(group) for group in self.groups)

    def summary(self) -> dict[str, Any]:
        """Return the number of images used of each dataset, for the user and for adapter cards."""
        training: dict[str, set[Path]] = {}
        for group in self.groups:
            for item in group:
                name = f"{item.record.dataset} {item.target}"
                # A source given twice is sampled twice as often, but its images count once.
                training.setdefault(name, set()).add(item.record.image)
        images = {name: len(paths) for name, paths in training.items()}
        return {"images": images, "validation": len(self.validation)}

    def manifest(self) -> list[dict[str, str]]:
        """List every file used, with the hash of its content."""
        files = {path for item in self._items() for path in _files(item)}
        return [
            {"path": str(path), "sha256": self.hashes.get(path) or sha256_of(path)}
            for path in sorted(files)
        ]

    def _items(self) -> Iterator[Item]:
        for group in self.groups:
            yield from group
        yield from self.validation


def data_hash(manifest: Sequence[Mapping[str, str]]) -> str:
    """Return one hash for the contents of all files in a manifest, independent of their paths."""
    contents = sorted(file["sha256"] for file in manifest)
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()


def plan_data(settings: TrainSettings) -> DataPlan:
    """Read the data sources and choose validation patients, the same on every machine.

    Sources of one dataset share its split, so that no patient is used for validation in one source
    and for training in another. Patient names that share an image, or a copy of it, are treated as
    one patient.

    Raises
    ------
    DatasetError
        If a source is not a dataset, has no mask of a target, its filters leave no image, a dataset
        has too few patients to use one for validation, or all masks of a target are empty.
    ImageError
        If a mask cannot be read.
    """
    sources = [(source, _labelled(source, settings.targets)) for source in settings.data]
    records = [record for _, labelled in sources for record in labelled]
    if settings.validation.within_images:
        return _plan_within_images(sources, settings)
    hashes = _hashes_of_possible_copies(records)
    validation_images = _validation_images(records, hashes, settings)
    groups: list[tuple[Item, ...]] = []
    validation: list[list[Item]] = []
    for source, labelled in sources:
        for target in settings.targets:
            group = [
                Item(record, target, source.grader) for record in labelled if target in record.masks
            ]
            training = tuple(item for item in group if item.record.image not in validation_images)
            if training:
                groups.append(training)
            if target == settings.target:
                validation.append(
                    [item for item in group if item.record.image in validation_images]
                )
    chosen = _spread(validation, settings.validation.images)
    if not groups:
        raise DatasetError(
            f"All {len(validation_images)} images are used for validation by one source or "
            "another, so none is left for training. Add images, or give each image only once."
        )
    if not chosen:
        raise DatasetError(
            f"No validation image has a mask of {settings.target}, so the training cannot be "
            "validated. Choose other validation images (--seed, validation.share)."
        )
    _check_marked(groups, chosen)
    return DataPlan(tuple(groups), tuple(chosen), hashes)


def _plan_within_images(
    sources: Sequence[tuple[DataSource, list[Record]]], settings: TrainSettings
) -> DataPlan:
    """Use one part of every image for training and the other for validation."""
    share = settings.validation.share
    groups = [
        tuple(
            Item(record, target, source.grader, SplitRole("training", share))
            for record in labelled
            if target in record.masks
        )
        for source, labelled in sources
        for target in settings.targets
    ]
    validation = [
        [
            replace(item, part=SplitRole("validation", share))
            for item in group
            if item.target == settings.target
        ]
        for group in groups
    ]
    chosen = _spread(validation, settings.validation.images)
    groups = [group for group in groups if group]
    _check_marked(groups, chosen)
    return DataPlan(tuple(groups), tuple(chosen), {})


def _split_row(marked: Mask, share: float) -> int:
    """Return the first row of the part with that share of the pixels; the middle row if none."""
    per_row = np.cumsum(marked.sum(axis=1))
    if per_row[-1] == 0:
        return len(per_row) // 2
    return int(np.searchsorted(per_row, (1 - share) * per_row[-1])) + 1


def _labelled(source: DataSource, targets: Sequence[str]) -> list[Record]:
    """Return the records of a source that have a mask of any target, sorted."""
    records = _records(source, targets)
    labelled = [record for record in records if record.masks.keys() & set(targets)]
    if not labelled:
        available = sorted({target for record in records for target in record.masks})
        raise DatasetError(
            f"{source.root}: has no masks of {' or '.join(targets)}, only of: "
            f"{', '.join(available) or 'nothing'}."
        )
    return sorted(labelled, key=record_order)


def _hashes_of_possible_copies(records: Sequence[Record]) -> dict[Path, str]:
    """Return the hashes of images that may be copies: those with a file size in common."""
    by_size: dict[int, set[Path]] = {}
    for record in records:
        by_size.setdefault(record.image.stat().st_size, set()).add(record.image)
    candidates = [path for paths in by_size.values() if len(paths) > 1 for path in paths]
    return {path: sha256_of(path) for path in candidates}


def _validation_images(
    records: Sequence[Record], hashes: Mapping[Path, str], settings: TrainSettings
) -> set[Path]:
    """Return all images of the validation patients, by whatever name a source calls them."""
    patients = _validation_patients(records, settings)
    content = {record.image: hashes.get(record.image, str(record.image)) for record in records}
    while True:  # until no image is shared with a patient outside
        images = {content[record.image] for record in records if _patient(record) in patients}
        connected = {_patient(record) for record in records if content[record.image] in images}
        if connected == patients:
            return {image for image in content if content[image] in images}
        patients = connected


def _validation_patients(
    records: Sequence[Record], settings: TrainSettings
) -> set[tuple[str, str]]:
    """Choose the validation patients of each dataset."""
    share = settings.validation.share
    patients: set[tuple[str, str]] = set()
    for name in sorted({record.dataset for record in records}):
        parts = split_by_patient(
            [record for record in records if record.dataset == name],
            fractions={"train": 1 - share, "validation": share},
            seed=settings.seed,
        )
        patients |= {_patient(record) for record in parts["validation"]}
    return patients


def _patient(record: Record) -> tuple[str, str]:
    return record.dataset, record.patient


def _check_marked(groups: Sequence[Sequence[Item]], validation: Sequence[Item]) -> None:
    """Check whether each target has a mask with a pixel; reading stops at the first."""
    training = [item for group in groups for item in group]
    for target in dict.fromkeys(item.target for item in training):
        items = [item for item in training if item.target == target]
        if not any(_is_marked(item) for item in items):
            raise DatasetError(
                f"The masks of {target} are empty in all {len(items)} training images, so there is "
                f"nothing to learn. Check the masks; the first is {_files(items[0])[-1]}."
            )
    if not any(_is_marked(item) for item in validation):
        raise DatasetError(
            f"The masks of {validation[0].target} are empty in all {len(validation)} validation "
            "images, so the training cannot be validated. Use more validation images "
            "(validation.share, validation.images), or others (--seed)."
        )


def _is_marked(item: Item) -> bool:
    return bool(item.record.read_mask(item.target, grader=item.grader).any())


def _records(source: DataSource, targets: Sequence[str]) -> list[Record]:
    """Return the records of a source that pass its filters."""
    read = partial(
        read_dataset,
        Path(source.root),
        layout=source.layout,
        labels=source.labels,
        grades=source.grades,
    )
    # Where a file's name gives no target, it shows the only one that is trained.
    records: Sequence[Record] = read(target=targets[0] if len(targets) == 1 else None).records
    outer = get_target(targets[0]).inside
    if outer is not None and len(targets) == 1:
        records = _with_outer(records, outer, read)
    if source.split != "all" and any(record.split for record in records):
        records = official_split(records, source.split)
    return filter_by_stem(records, source.root, include=source.include, exclude=source.exclude)


def _with_outer(records: Sequence[Record], outer: str, read: Callable[[], Dataset]) -> list[Record]:
    """Return records with the masks of the target that theirs lies in, where files name it."""
    try:
        named = {record.image: record.masks for record in read().records}
    except DatasetError:  # no name of a mask gives its target
        return list(records)
    found = [(record, named.get(record.image, {}).get(outer)) for record in records]
    return [
        replace(record, masks={**record.masks, outer: files}) if files else record
        for record, files in found
    ]


def _spread(groups: Sequence[Sequence[Item]], limit: int) -> list[Item]:
    """Return each image once, taken from the groups in turn, so that a limit omits no group."""
    longest = max((len(group) for group in groups), default=0)
    in_turn = [group[i] for i in range(longest) for group in groups if i < len(group)]
    once: dict[Path, Item] = {}
    for item in in_turn:
        once.setdefault(item.record.image, item)
    return list(once.values())[:limit]


def _files(item: Item) -> list[Path]:
    record = item.record
    others = [file.path for file in (record.fov, record.ignored) if file]
    outer = get_target(item.target).inside
    masks = [*(record.masks.get(outer, ()) if outer else ()), *record.masks[item.target]]
    return [record.image, *others, *(file.path for file in masks)]
