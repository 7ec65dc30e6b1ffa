"""List the records of a data set that is laid out in folders."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sam2lora.datasets.folders import Folders, find_mask, pattern_of
from sam2lora.datasets.layouts import ANY_TARGET, IMAGE_ENDING, Layout, MaskLocation
from sam2lora.datasets.records import Dataset, Record, Split, patient_from_name
from sam2lora.errors import DatasetError
from sam2lora.images.decoding import Eye, image_stem
from sam2lora.images.reading import eye_from_name
from sam2lora.targets import all_targets, get_target

_SPLITS: Mapping[str, Split] = {
    "train": "train",
    "training": "train",
    "a. training set": "train",
    "val": "val",
    "test": "test",
    "b. testing set": "test",
}
_EYES: Mapping[str, Eye] = {"l": "left", "os": "left", "r": "right", "od": "right"}


def read_folder(layout: Layout, root: Path, *, within: Path, target: str | None) -> Dataset:
    """List the records of the data set in `root`.

    Parameters
    ----------
    within
        Images outside this folder are left out.
    target
        The only target wanted.

    Raises
    ------
    DatasetError
        If the layout has no masks of the target, or a folder cannot be listed.
    """
    folders = Folders()
    places = places_of(layout, target)
    records: list[Record] = []
    for pattern in layout.images:
        earlier = {record.stem for record in records}
        new = [
            make_record(layout, root, path, groups, places, folders)
            for path, groups in folders.walk(root, pattern)
            if within in path.parents
        ]
        records += [record for record in new if record.stem not in earlier]
    records.sort(key=lambda record: record.stem)
    used = {_without_ending(path) for record in records for path in record.files()}
    lone = _lone_masks(layout, root, used, places, folders)
    odd = _odd_images(layout, root, used, folders) - lone
    return Dataset(
        name=layout.name if layout.public else root.name,
        root=root,
        layout=layout.name,
        records=tuple(records),
        lone_masks=tuple(sorted(path for path in lone if within in path.parents)),
        odd_images=tuple(sorted(path for path in odd if within in path.parents)),
    )


def match_image(layout: Layout, image: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Say for which folders `image` would be an image of the layout: the folder and the groups."""
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
    places: Mapping[str, tuple[MaskLocation, ...]],
    folders: Folders,
) -> Record:
    """Make the record of one image, looking for its masks.

    Parameters
    ----------
    groups
        What the image's pattern matched, as given by `match_image` or `Folders.walk`.
    places
        Where the masks of each target lie, as given by `places_of`.
    """
    name = image_stem(image)
    stem = layout.stem.format_map(groups) or name
    masks = {}
    for target, graders in places.items():
        known = {**groups, "target": target}
        found = (find_mask(place, root, known, folders) for place in graders)
        files = tuple(file for file in found if file is not None)
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


def places_of(layout: Layout, target: str | None) -> dict[str, tuple[MaskLocation, ...]]:
    """Give target name to places, of the wanted target or of all.

    In a layout for any target, a path that does not name the target counts only when one target is
    wanted: it is then taken to show that one.

    Raises
    ------
    DatasetError
        If the layout has no masks of the wanted target.
    TargetError
        If the layout takes any target, but the wanted one is not known.
    """
    if ANY_TARGET not in layout.masks:
        if target is not None and target not in layout.masks:
            raise DatasetError(
                f"{layout.name} has no masks of {target}; it has: {', '.join(layout.masks)}."
            )
        return {name: places for name, places in layout.masks.items() if target in (None, name)}
    places = layout.masks[ANY_TARGET]
    if target is not None:
        return {get_target(target).name: places}
    naming = tuple(
        MaskLocation(place.encoding, tuple(path for path in place.paths if "{target}" in path))
        for place in places
    )
    return dict.fromkeys(all_targets(), naming)


def _lone_masks(
    layout: Layout,
    root: Path,
    used: set[str],
    places: Mapping[str, tuple[MaskLocation, ...]],
    folders: Folders,
) -> set[Path]:
    """Give the files named as masks are that are no record's.

    A file that differs from a `used` one by its ending alone (`im0001.ppm.gz`) is none.
    """
    shown = places.values() if ANY_TARGET not in layout.masks else layout.masks.values()
    paths = {path for graders in shown for place in graders for path in place.paths}
    patterns = {pattern_of(path, places) for path in paths}
    for place in filter(None, (layout.fov, layout.ignored)):
        patterns |= {pattern_of(path, places) for path in place.paths}
    others = [name for name in all_targets() if name not in places]
    of_others = {pattern_of(path, others) for path in paths if "{target}" in path and others}
    named = _files(root, patterns, folders) - _files(root, of_others, folders)
    return {path for path in named if _without_ending(path) not in used}


def _odd_images(layout: Layout, root: Path, used: set[str], folders: Folders) -> set[Path]:
    """Give the image files among the set's images that are no record's image or mask."""
    parents = {pattern.rpartition("/")[0] for pattern in layout.images}
    patterns = {f"{parent}/.+\\.{IMAGE_ENDING}".lstrip("/") for parent in parents}
    files = _files(root, patterns, folders)
    return {path for path in files if _without_ending(path) not in used}


def _files(root: Path, patterns: Iterable[str], folders: Folders) -> set[Path]:
    return {path for pattern in patterns for path, _ in folders.walk(root, pattern)}


def _without_ending(path: Path) -> str:
    text, ending = os.path.splitext(path)  # noqa: PTH122 (a tenth of the time, for every file)
    return os.path.splitext(text)[0] if ending == ".gz" else text  # noqa: PTH122
