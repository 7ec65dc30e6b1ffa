"""Recognise a dataset by its folder layout, and list its images with their masks.

Listing uses names only: no image is opened, however large the dataset is.
"""

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from sam2lora.datasets.csv_dataset import TABLE_NAME, read_table
from sam2lora.datasets.ellipse_dataset import is_ellipse_table, read_ellipses, with_grades
from sam2lora.datasets.folder_dataset import make_record, mask_locations, match_image, read_folder
from sam2lora.datasets.folders import Folders, find_mask, folder_of, mask_path_pattern
from sam2lora.datasets.label_maps import NO_LABELS, Labels, with_parts
from sam2lora.datasets.layouts import ANY_TARGET, Layout
from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.datasets.records import Dataset, Record
from sam2lora.datasets.registry import DATASETS
from sam2lora.errors import DatasetError, SeveralDatasetsError
from sam2lora.targets import all_targets, get_target
from sam2lora.utils.names import natural_key


@dataclass(frozen=True)
class RecognizedFolder:
    """A dataset that was recognised.

    Attributes
    ----------
    layout
        The layout of its folders.
    root
        The dataset's folder, or its CSV file.
    within
        The requested folder: images outside it are left out. It is the dataset's folder, one above
        it, or a part of the dataset, such as its training half.
    """

    layout: Layout
    root: Path
    within: Path


def recognize(root: Path, *, layout: str | None = None) -> RecognizedFolder:
    """Recognise the dataset in a folder, in its only sub-folder with a dataset, or around it.

    Parameters
    ----------
    root
        A folder, or a CSV file.
    layout
        Key of `DATASETS`; by default the layout is recognised.

    Raises
    ------
    DatasetError
        If there is no dataset, or more than one (`SeveralDatasetsError`); the message lists the
        layouts that were tried.
    """
    root = root.resolve()
    if not root.exists():
        raise DatasetError(f"{root}: there is no such folder.")
    layouts = [_layout(layout)] if layout else list(DATASETS.values())
    if root.is_file():
        if root.suffix.lower() != ".csv":
            raise DatasetError(f"{root}: is a file; expected a folder or a CSV file.")
        name = "ellipses" if is_ellipse_table(root) else "csv"
        return RecognizedFolder(DATASETS[name], root, root.parent)
    folders = Folders()
    children = [root / name for name in folders.names(root) if not name.startswith(".")]
    readable = [child for child in children if child.is_dir() and os.access(child, os.R_OK)]
    for candidates in ([root], readable, [root.parent], [root.parent.parent]):
        tried = (_fit(layouts, folder, root, folders) for folder in candidates)
        sets = [found for found in tried if found is not None]
        if len(sets) > 1:
            names = ", ".join(f"{found.root.name} ({found.layout.name})" for found in sets)
            raise SeveralDatasetsError(
                f"{root}: holds several datasets: {names}. Choose one of them."
            )
        if sets:
            return sets[0]
    raise DatasetError(_nothing_found(root, layouts, folders))


def read_dataset(
    root: Path,
    *,
    layout: str | None = None,
    target: str | None = None,
    labels: Labels = NO_LABELS,
    grades: Collection[str] = (),
) -> Dataset:
    """List the images of a dataset with their masks.

    Parameters
    ----------
    root
        As for `recognize`.
    layout
        Key of `DATASETS`; by default the layout is recognised.
    target
        The only target to read masks of; required if the mask names of a plain folder do not
        give their target.
    labels
        Values that show a target, by its name, where masks are label maps.
    grades
        Grades of the ellipses that are used, where masks are graded; empty for all.

    Raises
    ------
    DatasetError
        If `root` is not a dataset, two images would have the same stem, or no image has a mask, or
        none of the grades.
    TargetError
        If the target is unknown.
    """
    found = recognize(root, layout=layout)
    dataset = _listed(found, target)
    if grades:
        records = tuple(with_grades(record, grades) for record in dataset.records)
        dataset = replace(dataset, records=records)
    if not dataset.targets:
        raise DatasetError(
            f"{found.root}: recognised as {dataset.layout}, but {_lack(found, target)}."
        )
    if not labels:
        return dataset
    return replace(dataset, records=tuple(_labelled(one, labels) for one in dataset.records))


def _lack(found: RecognizedFolder, target: str | None) -> str:
    """Describe which masks a dataset lacks."""
    own = ANY_TARGET in found.layout.masks
    if target is None:
        hint = "; if the mask names do not give their target, use --target" if own else ""
        return f"no image has a mask{hint}"
    others = ", ".join(sorted(_listed(found, None).targets)) if own else ""
    return f"no image has a mask of {target}" + (f"; there are masks of {others}" if others else "")


def list_images(found: RecognizedFolder) -> list[Path]:
    """List the images of a dataset, whether or not the target of their masks is known.

    Image files whose names do not fit the layout are included.

    Parameters
    ----------
    found
        From `recognize`.

    Raises
    ------
    DatasetError
        If two images would have the same stem, or its CSV file cannot be used.
    """
    dataset = _listed(found, None)
    images = [*(record.image for record in dataset.records), *dataset.unmatched_images]
    return sorted(images, key=natural_key)


def _labelled(record: Record, labels: Labels) -> Record:
    """Return a record whose masks know which labels show their target."""
    masks = {
        target: tuple(
            replace(file, labels=with_parts(target, labels) if target in labels else ())
            for file in graders
        )
        for target, graders in record.masks.items()
    }
    return replace(record, masks=masks)


def _listed(found: RecognizedFolder, target: str | None) -> Dataset:
    if found.layout.name in ("csv", "ellipses"):
        dataset = _from_table(found, target)
    else:
        dataset = read_folder(found.layout, found.root, within=found.within, target=target)
    by_stem: dict[str, Record] = {}
    for record in dataset.records:
        other = by_stem.setdefault(record.stem, record)
        if other is not record:
            raise DatasetError(
                f"{record.image}: has the same name as {other.image}; masks and results could not "
                "be told apart. Rename or remove one of them."
            )
    return dataset


def find_record(image: Path) -> Record | None:
    """Return the record of an image file in a dataset, or None if it is in none.

    Only the few folders in which its masks could be are listed.

    Raises
    ------
    DatasetError
        If there is a `dataset.csv` in one of the folders around the image that cannot be used.
    """
    image = image.absolute()
    for folder in image.parents[:3]:
        if (folder / TABLE_NAME).is_file():
            records = read_table(folder / TABLE_NAME)
            matches = (record for record in records if record.image.absolute() == image)
            return next(matches, None)
    folders = Folders()
    for layout in DATASETS.values():
        for root, groups in match_image(layout, image):
            locations = mask_locations(layout, None)
            record = make_record(layout, root, image, groups, locations, folders)
            if record.masks:
                return record
    return None


def _layout(name: str) -> Layout:
    if name not in DATASETS:
        raise DatasetError(f"No layout is called {name!r}. There are: {', '.join(DATASETS)}.")
    return DATASETS[name]


def _fit(
    layouts: list[Layout], folder: Path, within: Path, folders: Folders
) -> RecognizedFolder | None:
    """Return the first layout by which `folder` has an image with a mask inside `within`."""
    for layout in layouts:
        if layout.name == "ellipses":  # no file name tells it from other CSV files
            continue
        if layout.name == "csv":
            table = folders.find(folder, TABLE_NAME)
            if table is not None and folder.is_relative_to(within):
                return RecognizedFolder(layout, table, within)
            continue
        targets = all_targets() if ANY_TARGET in layout.masks else layout.masks
        locations = [location for graders in layout.masks.values() for location in graders]
        for _, groups in _images(layout, folder, within, folders):
            if any(
                find_mask(location, folder, {**groups, "target": target}, folders)
                for target in targets
                for location in locations
            ):
                return RecognizedFolder(layout, folder, within)
    return None


def _images(
    layout: Layout, root: Path, within: Path, folders: Folders
) -> Iterator[tuple[Path, dict[str, str]]]:
    for pattern in layout.images:
        for path, groups in folders.walk(root, pattern):
            if within in path.parents:
                yield path, groups


def _nothing_found(root: Path, layouts: list[Layout], folders: Folders) -> str:
    misnamed = next(_misnamed_masks(root, layouts, folders), None)
    if misnamed is not None:
        return f"{root}: {misnamed}"
    for layout in layouts:
        first = next(_images(layout, root, root, folders), None)
        if first is not None and layout.public:
            return (
                f"{root}: holds images of {layout.name} ({first[0].name}), but none of their "
                "masks. `sam2lora datasets list` shows where they are expected."
            )
    examples = ", ".join(f"{layout.example} ({layout.name})" for layout in layouts)
    return (
        f"{root}: no dataset was recognised. Expected images with masks, such as {examples}. "
        "`sam2lora datasets list` shows where the masks must be."
    )


def _misnamed_masks(root: Path, layouts: list[Layout], folders: Folders) -> Iterator[str]:
    """Describe masks in the folders of a layout for own data, where none is named as an image."""
    for layout in layouts:
        if layout.public:
            continue
        by_split: dict[str, list[dict[str, str]]] = defaultdict(list)
        for _, groups in _images(layout, root, root, folders):
            by_split[groups.get("split", "")].append(groups)
        for location, target in product(layout.masks[ANY_TARGET], all_targets()):
            paths = [path for path in location.paths if "{target}" in path]
            for images, path in product(by_split.values(), paths):
                any_id = path.format_map({**images[0], "id": "{id}", "target": target})
                beside = [one for one in paths if folder_of(one) == folder_of(path)]
                for mask, _ in folders.walk(root, mask_path_pattern(any_id, ())):
                    expected = _expected_names(mask, images, beside, target)
                    yield (
                        f"{mask.parent.relative_to(root).as_posix()} has {mask.name}, but no mask "
                        f"is named as an image: expected {expected}."
                    )


def _expected_names(mask: Path, images: list[dict[str, str]], paths: list[str], target: str) -> str:
    """Return the names under which a mask would be found, for the image whose name it holds."""
    held = [groups["id"] if groups["id"] in mask.name else "" for groups in images]
    groups = {**images[held.index(max(held, key=len))], "target": target}
    stems = [path.rpartition("/")[2].removesuffix(".*").format_map(groups) for path in paths]
    return " or ".join(stem + mask.suffix for stem in stems)


def _from_table(found: RecognizedFolder, target: str | None) -> Dataset:
    if found.layout.name == "ellipses":
        name, records = found.root.stem, read_ellipses(found.root, _records_in)
    else:
        records = read_table(found.root)
        name = records[0].dataset
    if target is not None:
        only = get_target(target).name
        records = [replace(r, masks=_only(only, r.masks)) for r in records]
    records.sort(key=lambda record: natural_key(record.stem))
    return Dataset(name, found.root, found.layout.name, tuple(records))


def _records_in(folder: Path) -> tuple[Record, ...]:
    """Return the records of a dataset that an ellipse's row names."""
    return _listed(recognize(folder), None).records


def _only(
    target: str, masks: Mapping[str, tuple[MaskFile, ...]]
) -> dict[str, tuple[MaskFile, ...]]:
    return {target: masks[target]} if target in masks else {}
