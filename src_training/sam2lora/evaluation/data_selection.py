"""Selection of the images of an evaluation: read, filtered and checked before any computation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sam2lora.datasets import Dataset, Record, filter_by_stem, official_split, read_dataset
from sam2lora.datasets.check import Problem, check_masks
from sam2lora.datasets.label_maps import NO_LABELS, Labels
from sam2lora.errors import DatasetError
from sam2lora.evaluation.cases import check_records
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.targets import get_target


@dataclass(frozen=True)
class EvaluationPart:
    """The images of one dataset that are scored.

    Attributes
    ----------
    dataset
        The dataset.
    split
        Official split that is scored, or `all`.
    records
        Records of the images.
    without_mask
        Number of further images in that split that pass the filters but have no mask of the target.
    suspicious
        Masks that seem inverted; they are used as they are.
    """

    dataset: Dataset
    split: str
    records: tuple[Record, ...]
    without_mask: int
    suspicious: tuple[Problem, ...] = ()


def plan_parts(
    roots: Sequence[Path],
    settings: EvaluateSettings,
    *,
    layout: str | None = None,
    labels: Labels = NO_LABELS,
) -> tuple[EvaluationPart, ...]:
    """Read the datasets, and check whether their images can be scored.

    Parameters
    ----------
    roots
        Folders or CSV files of the datasets.
    settings
        Evaluation settings: target, protocol, split and filters.
    layout
        Key of `DATASETS`; None: recognize the layout.
    labels
        As for `read_dataset`.

    Raises
    ------
    DatasetError
        If a root is not a dataset, has no mask of the target, lacks the split, its filters leave no
        image, a mask has another size than its image or shows nobody knows what, or two datasets
        have the same name.
    TargetError
        If the target is unknown.
    """
    chosen = get_target(settings.target)
    target = chosen.name
    # The error of a point is measured in diameters of the disc, whose masks are needed then.
    only = target if chosen.kind == "mask" else None
    parts: dict[str, EvaluationPart] = {}
    for root in roots:
        dataset = read_dataset(
            root, layout=layout, target=only, labels=labels, grades=settings.grades
        )
        for part in _parts(dataset, target, settings):
            if part.dataset.name in parts:
                other = parts[part.dataset.name].dataset
                raise DatasetError(
                    f"{root} and {other.root} are both called {part.dataset.name!r}, so their "
                    "results could not be distinguished. Evaluate them one at a time, or rename a "
                    "folder."
                )
            parts[part.dataset.name] = part
    grader = settings.conventions.grader
    for part in parts.values():
        check_records(part.records, target, graders=[grader])
    return tuple(
        replace(part, suspicious=tuple(check_masks(part.records, target, grader=grader)))
        for part in parts.values()
    )


def _parts(dataset: Dataset, target: str, settings: EvaluateSettings) -> list[EvaluationPart]:
    """Return the part of a dataset; one for each, where its records are of several datasets."""
    names = list(dict.fromkeys(record.dataset for record in dataset.records))
    if len(names) < 2:
        return [_part(dataset, target, settings)]
    dataset.with_target(target)
    parts = []
    for name in names:
        records = tuple(record for record in dataset.records if record.dataset == name)
        if any(target in record.masks for record in records):
            parts.append(_part(replace(dataset, name=name, records=records), target, settings))
    return parts


def _part(dataset: Dataset, target: str, settings: EvaluateSettings) -> EvaluationPart:
    dataset.with_target(target)  # its error lists the targets of all splits
    records: Sequence[Record] = dataset.records
    has_test = any(record.split == "test" for record in records)
    split = settings.split
    if split == "auto":
        split = "test" if has_test else "all"
    if split != "all":
        try:
            records = official_split(records, split)
        except DatasetError as error:
            raise DatasetError(f"{dataset.root}: {error} `--split all` uses all images.") from error
    records = filter_by_stem(
        records, dataset.root, include=settings.include, exclude=settings.exclude
    )
    masked = tuple(record for record in records if record.masks.get(target))
    if not masked:
        raise DatasetError(
            f"{dataset.root}: none of the {len(records)} images in its split {split!r} has a mask "
            f"of {target}."
        )
    return EvaluationPart(dataset, split, masked, len(records) - len(masked))
