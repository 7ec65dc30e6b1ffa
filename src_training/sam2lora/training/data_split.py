"""Which images a training learns from and which judge it: read, filtered and split by patient."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from sam2lora.datasets import (
    Record,
    filter_by_stem,
    official_split,
    read_dataset,
    split_by_patient,
)
from sam2lora.errors import DatasetError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.training.settings import DataSource, TrainSettings
from sam2lora.types import Mask
from sam2lora.utils.files import sha256_of


@dataclass(frozen=True)
class SplitRole:
    """The share of an image that is learned from, or the one that judges.

    A row of the image parts them, above which all but `scoring` of the target's pixels lie.
    """

    role: Literal["learned", "judging"]
    scoring: float


@dataclass(frozen=True)
class Item:
    """One image with the mask of one target: what a sample is cut from."""

    record: Record
    target: str
    grader: Any
    part: SplitRole | None = None

    def valid(self, field: FieldOfView, marked: Mask) -> Mask:
        """Tell what counts: the field of view without what is ignored, of the item's part.

        Parameters
        ----------
        field
            The image's field of view.
        marked
            `(H, W)` bool: the target.

        Raises
        ------
        ImageError
            If what is ignored cannot be read.
        """
        ignored = self.record.read_ignored()
        valid = field.mask if ignored is None else field.mask & ~ignored
        if self.part is None:
            return valid
        above = np.zeros_like(valid)
        above[: _parting_row(marked & valid, self.part.scoring)] = True
        return valid & above if self.part.role == "learned" else valid & ~above


@dataclass(frozen=True)
class DataPlan:
    """The images of a training.

    Attributes
    ----------
    groups
        Items to learn from, one group for each data source and target; the groups are drawn from
        equally often, however large they are.
    validation
        Items of held-out patients, the target's only, spread over the sources.
    hashes
        Of the images that had to be compared, so that they are not read again for the manifest.
    """

    groups: tuple[tuple[Item, ...], ...]
    validation: tuple[Item, ...]
    hashes: Mapping[Path, str]

    @property
    def samples_per_epoch(self) -> int:
        """Number of items to learn from."""
        return sum(len(group) for group in self.groups)

    def summary(self) -> dict[str, Any]:
        """Say how many images of which sets are used, for people and cards."""
        learned: dict[str, set[Path]] = {}
        for group in self.groups:
            name = f"{group[0].record.dataset} {group[0].target}"
            # A source that is given twice counts twice in the turns, and has no more images.
            learned.setdefault(name, set()).update(item.record.image for item in group)
        images = {name: len(paths) for name, paths in learned.items()}
        return {"images": images, "validation": len(self.validation)}

    def manifest(self) -> list[dict[str, str]]:
        """List every file that is used, with the hash of its content."""
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
    """Hash the contents of all files in a manifest, wherever they lie."""
    contents = sorted(file["sha256"] for file in manifest)
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()


def plan_data(settings: TrainSettings) -> DataPlan:
    """Read the data sources and hold patients out for validation, the same on every machine.

    Sources of one data set share its split, so that nobody is held out in one of them and learned
    from in another. Names of patients that share an image, or a copy of it, are taken for one
    person.

    Raises
    ------
    DatasetError
        If a source is no data set, has no mask of a target, nothing is left of it after filtering,
        a data set has too few patients to hold one out, or all masks of a target are empty.
    ImageError
        If a mask cannot be read.
    """
    sources = [(source, _labelled(source, settings.targets)) for source in settings.data]
    records = [record for _, those in sources for record in those]
    if settings.validation.within_images:
        return _plan_within_images(sources, settings)
    hashes = _hashes_of_alike(records)
    judges = _images_that_judge(records, hashes, settings)
    groups: list[tuple[Item, ...]] = []
    validation: list[list[Item]] = []
    for source, those in sources:
        for target in settings.targets:
            group = [Item(one, target, source.grader) for one in those if target in one.masks]
            learned = tuple(item for item in group if item.record.image not in judges)
            if learned:
                groups.append(learned)
            if target == settings.target:
                validation.append([item for item in group if item.record.image in judges])
    chosen = _spread(validation, settings.validation.images)
    if not groups:
        raise DatasetError(
            f"All {len(judges)} images are held out by one source or another, so nothing is left "
            "to learn from. Give more images, or each only once."
        )
    if not chosen:
        raise DatasetError(
            f"No held-out image has a mask of {settings.target}, so nothing can judge the training."
        )
    _check_marked(groups, chosen)
    return DataPlan(tuple(groups), tuple(chosen), hashes)


def _plan_within_images(
    sources: Sequence[tuple[DataSource, list[Record]]], settings: TrainSettings
) -> DataPlan:
    """Learn from one part of every image, and judge by the other."""
    share = settings.validation.share
    groups = [
        tuple(
            Item(one, target, source.grader, SplitRole("learned", share))
            for one in those
            if target in one.masks
        )
        for source, those in sources
        for target in settings.targets
    ]
    judging = [
        [
            replace(item, part=SplitRole("judging", share))
            for item in group
            if item.target == settings.target
        ]
        for group in groups
    ]
    chosen = _spread(judging, settings.validation.images)
    groups = [group for group in groups if group]
    _check_marked(groups, chosen)
    return DataPlan(tuple(groups), tuple(chosen), {})


def _parting_row(marked: Mask, share: float) -> int:
    """Give the row from which on that share of the pixels lie; the middle one if there are none."""
    per_row = np.cumsum(marked.sum(axis=1))
    if per_row[-1] == 0:
        return len(per_row) // 2
    return int(np.searchsorted(per_row, (1 - share) * per_row[-1])) + 1


def _labelled(source: DataSource, targets: Sequence[str]) -> list[Record]:
    """Give the records of a source that have a mask of a target, sorted."""
    records = _records(source)
    labelled = [record for record in records if record.masks.keys() & set(targets)]
    if not labelled:
        has = sorted({target for record in records for target in record.masks})
        raise DatasetError(
            f"{source.root}: there are no masks of {' or '.join(targets)}; "
            f"there are: {', '.join(has) or 'none'}."
        )
    return sorted(labelled, key=lambda record: (record.dataset, record.stem))


def _hashes_of_alike(records: Sequence[Record]) -> dict[Path, str]:
    """Hash the images that may be copies: those of exactly the size of another."""
    by_size: dict[int, set[Path]] = {}
    for record in records:
        by_size.setdefault(record.image.stat().st_size, set()).add(record.image)
    alike = [path for paths in by_size.values() if len(paths) > 1 for path in paths]
    return {path: sha256_of(path) for path in alike}


def _images_that_judge(
    records: Sequence[Record], hashes: Mapping[Path, str], settings: TrainSettings
) -> set[Path]:
    """Give all images of the held-out patients, by whatever name a source calls them."""
    held_out = _validation_patients(records, settings)
    content = {record.image: hashes.get(record.image, str(record.image)) for record in records}
    while True:
        theirs = {content[record.image] for record in records if _patient(record) in held_out}
        same_people = {_patient(record) for record in records if content[record.image] in theirs}
        if same_people == held_out:
            return {image for image in content if content[image] in theirs}
        held_out = same_people


def _validation_patients(
    records: Sequence[Record], settings: TrainSettings
) -> set[tuple[str, str]]:
    """Choose in each data set whose images judge."""
    share = settings.validation.share
    held_out: set[tuple[str, str]] = set()
    for name in sorted({record.dataset for record in records}):
        parts = split_by_patient(
            [record for record in records if record.dataset == name],
            fractions={"train": 1 - share, "validation": share},
            seed=settings.seed,
        )
        held_out |= {_patient(record) for record in parts["validation"]}
    return held_out


def _patient(record: Record) -> tuple[str, str]:
    return record.dataset, record.patient


def _check_marked(groups: Sequence[Sequence[Item]], validation: Sequence[Item]) -> None:
    """Refuse masks without a pixel; reading ends at the first that has one."""
    learned = [item for group in groups for item in group]
    for target in dict.fromkeys(item.target for item in learned):
        items = [item for item in learned if item.target == target]
        if not any(_is_marked(item) for item in items):
            raise DatasetError(
                f"The masks of {target} are empty in all {len(items)} images to learn from, so "
                f"there is nothing to learn: {_files(items[0])[-1]} is the first of them."
            )
    if not any(_is_marked(item) for item in validation):
        raise DatasetError(
            f"The masks of {validation[0].target} are empty in all {len(validation)} held-out "
            "images, so nothing can judge the training. Hold more out (validation.share, "
            "validation.images), or others (--seed)."
        )


def _is_marked(item: Item) -> bool:
    return bool(item.record.read_mask(item.target, grader=item.grader).any())


def _records(source: DataSource) -> list[Record]:
    """Give the records of a source that its filters leave."""
    records: Sequence[Record] = read_dataset(Path(source.root), layout=source.layout).records
    if source.split != "all" and any(record.split for record in records):
        records = official_split(records, source.split)
    return filter_by_stem(records, source.root, include=source.include, exclude=source.exclude)


def _spread(groups: Sequence[Sequence[Item]], most: int) -> list[Item]:
    """Take each image once, from the groups in turn, so that a limit does not leave one out."""
    longest = max((len(group) for group in groups), default=0)
    in_turn = [group[i] for i in range(longest) for group in groups if i < len(group)]
    once: dict[Path, Item] = {}
    for item in in_turn:
        once.setdefault(item.record.image, item)
    return list(once.values())[:most]


def _files(item: Item) -> list[Path]:
    record = item.record
    others = [file.path for file in (record.fov, record.ignored) if file]
    return [record.image, *others, *(file.path for file in record.masks[item.target])]
