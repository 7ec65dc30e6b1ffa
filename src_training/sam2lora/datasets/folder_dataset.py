"""List the records of a dataset that is laid out in folders."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sam2lora.datasets.folders import Folders, find_mask, mask_path_pattern
from sam2lora.datasets.image_masks import without_masks
from sam2lora.datasets.layouts import ANY_TARGET, IMAGE_ENDING, Layout, MaskLocation
from sam2lora.datasets.mask_encodings import MaskFile
from sam2lora.datasets.records import Dataset, Record, Split, patient_from_name
from sam2lora.errors import DatasetError
from sam2lora.images.decoding import image_stem
from sam2lora.images.reading import eye_from_name
from sam2lora.targets import all_targets, get_target
from sam2lora.types import Eye
from sam2lora.utils.names import natural_key, plain_name

_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "a. training set": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
    "b. testing set": "test",
}
_EYES: Mapping[str, Eye] = {"l": "left", "os": "left", "r": "right", "od": "right"}


def read_folder(layout: Layout, root: Path, *, within: Path, target: str | None) -> Dataset:
    """List the records of the dataset in `root`.

    Parameters
    ----------
    layout
        The layout of its folders.
    root
        The folder of the dataset.
    within
        Images outside this folder are left out.
    target
        The only target to read masks of; None for all.

    Raises
    ------
    DatasetError
        If the layout has no masks of the target, or a folder cannot be listed.
    """
    folders = Folders()
    locations = mask_locations(layout, target)
    records: list[Record] = []
    for pattern in layout.images:
        earlier = {record.stem for record in records}
        new = [
            make_record(layout, root, path, groups, locations, folders)
            for path, groups in _without_masks(folders.walk(root, pattern))
            if within in path.parents
        ]
        records += [record for record in new if record.stem not in earlier]
    records.sort(key=lambda record: natural_key(record.stem))
    used = {_without_extension(path) for record in records for path in _files_of(record)}
    masks = _unmatched_masks(layout, root, used, locations, folders)
    images = set(without_masks(_unmatched_images(layout, root, used, folders) - masks))
    return Dataset(
        name=layout.name if layout.public else root.name,
        root=root,
        layout=layout.name,
        records=tuple(records),
        unmatched_masks=_sorted_within(within, masks),
        unmatched_images=_sorted_within(within, images),
    )


def _without_masks(
    found: Iterable[tuple[Path, dict[str, str]]],
) -> list[tuple[Path, dict[str, str]]]:
    """Leave out the masks among the images, such as those `predict` wrote there."""
    groups = dict(found)
    return [(path, groups[path]) for path in without_masks(groups)]


def _sorted_within(folder: Path, paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(sorted((path for path in paths if folder in path.parents), key=natural_key))


def _files_of(record: Record) -> list[Path]:
    """Return every file of a record, with the rivals of its masks."""
    masks = [file for graders in record.masks.values() for file in graders]
    others = [file for file in (record.fov, record.ignored) if file]
    return [*record.files(), *(rival for file in (*masks, *others) for rival in file.rivals)]


def match_image(layout: Layout, image: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Find the folders in which `image` would be an image of the layout.

    Yields
    ------
    The dataset's folder, and the groups of the pattern that matched the image's path in it.
    """
    for pattern in layout.images:
        parts = pattern.split("/")
        if len(parts) >= len(image.parts):
            continue
        matches = [
            re.fullmatch(part, name, re.IGNORECASE)
            for part, name in zip(parts, image.parts[-len(parts) :], strict=True)
        ]
        groups: dict[str, str] = {}
        for match in matches:
            groups |= {k: v for k, v in match.groupdict().items() if v} if match else {}
        if all(matches) and not image.name.startswith("."):
            yield image.parents[len(parts) - 1], groups


def make_record(
    layout: Layout,
    root: Path,
    image: Path,
    groups: Mapping[str, str],
    locations: Mapping[str, tuple[MaskLocation, ...]],
    folders: Folders,
) -> Record:
    """Create the record of one image with the masks that exist for it.

    Parameters
    ----------
    layout, root
        As for `read_folder`.
    image
        The image file.
    groups
        Groups of the image's pattern, from `match_image` or `Folders.walk`.
    locations
        Where the masks of each target are, from `mask_locations`.
    folders
        Finds the files.
    """
    name = image_stem(image)
    stem = layout.stem.format_map(groups) or name
    masks = {}
    for target, graders in locations.items():
        known = {**groups, "target": target}
        found = (find_mask(location, root, known, folders) for location in graders)
        files = tuple(file for file in found if file and not _is_of_another(file, image, folders))
        if files:
            masks[target] = files
    return Record(
        dataset=layout.name if layout.public else root.name,
        stem=stem,
        image=image,
        masks=masks,
        fov=find_mask(layout.fov, root, groups, folders) if layout.fov else None,
        patient=groups.get("patient") or (stem if layout.public else patient_from_name(name)),
        eye=_EYES.get(groups.get("eye", "").lower()) or eye_from_name(name),
        split=_SPLITS.get(groups.get("split", "").lower()),
        ignored=find_mask(layout.ignored, root, groups, folders) if layout.ignored else None,
    )


def _is_of_another(mask: MaskFile, image: Path, folders: Folders) -> bool:
    """Check whether a mask has the name of another image: `a_disc` beside `a`."""
    stem = image_stem(mask.path)
    if plain_name(stem) == plain_name(image_stem(image)) or mask.path.parent == image.parent:
        return False
    return bool(without_masks(folders.find_all(image.parent, f"{stem}.*")))


def mask_locations(layout: Layout, target: str | None) -> dict[str, tuple[MaskLocation, ...]]:
    """Return the mask locations of each target, or of `target` alone.

    In a layout for any target, a path that does not name its target counts only if `target` is
    given: the mask is then taken to show it.

    Raises
    ------
    DatasetError
        If the layout has no masks of the target.
    TargetError
        If the layout is for any target, and this one is unknown.
    """
    if ANY_TARGET not in layout.masks:
        if target is not None and target not in layout.masks:
            raise DatasetError(
                f"{layout.name} has no masks of {target}; it has: {', '.join(layout.masks)}."
            )
        return {name: masks for name, masks in layout.masks.items() if target in (None, name)}
    locations = layout.masks[ANY_TARGET]
    if target is not None:
        return {get_target(target).name: locations}
    naming = tuple(
        MaskLocation(
            location.encoding, tuple(path for path in location.paths if "{target}" in path)
        )
        for location in locations
    )
    return dict.fromkeys(all_targets(), naming)


def _unmatched_masks(
    layout: Layout,
    root: Path,
    used: set[str],
    locations: Mapping[str, tuple[MaskLocation, ...]],
    folders: Folders,
) -> set[Path]:
    """Return the files that are named like masks but belong to no record.

    A file that differs from a `used` one only by its extension (`im0001.ppm.gz`) is left out.
    """
    masks = locations.values() if ANY_TARGET not in layout.masks else layout.masks.values()
    paths = {path for graders in masks for location in graders for path in location.paths}
    patterns = {mask_path_pattern(path, locations) for path in paths}
    for location in filter(None, (layout.fov, layout.ignored)):
        patterns |= {mask_path_pattern(path, locations) for path in location.paths}
    others = [name for name in all_targets() if name not in locations]
    of_others = {mask_path_pattern(path, others) for path in paths if "{target}" in path and others}
    named = _files(root, patterns, folders) - _files(root, of_others, folders)
    return {path for path in named if _without_extension(path) not in used}


def _unmatched_images(layout: Layout, root: Path, used: set[str], folders: Folders) -> set[Path]:
    """Return the image files among the dataset's images that belong to no record."""
    parents = {pattern.rpartition("/")[0] for pattern in layout.images}
    patterns = {f"{parent}/.+\\.{IMAGE_ENDING}".lstrip("/") for parent in parents}
    files = _files(root, patterns, folders)
    return {path for path in files if _without_extension(path) not in used}


def _files(root: Path, patterns: Iterable[str], folders: Folders) -> set[Path]:
    return {path for pattern in patterns for path, _ in folders.walk(root, pattern)}


def _without_extension(path: Path) -> str:
    text, extension = os.path.splitext(path)  # noqa: PTH122 (a tenth of the time, for every file)
    return os.path.splitext(text)[0] if extension == ".gz" else text  # noqa: PTH122
