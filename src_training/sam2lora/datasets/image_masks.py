"""Leave masks out of lists of images: those written here, and those beside their images."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from sam2lora.datasets.label_maps import is_two_toned, legend_path
from sam2lora.errors import ImageError
from sam2lora.images.decoding import image_stem, image_suffix, is_image_file
from sam2lora.images.mask_mark import is_marked_mask
from sam2lora.images.reading import read_values
from sam2lora.targets import all_targets
from sam2lora.utils.names import plain_name

_MARKED = (".png", ".tif", ".tiff")
_WRITTEN_NAME = re.compile(r".+_[a-z][a-z0-9_-]*")  # ends like <stem>_<target>
_PROBABILITY = "_probability"
_OTHER_NAMES = ("mask", "masks", "label", "labels", "seg", "segmentation", "gt", "fov")

_Names = Mapping[str, list[str]]


def without_masks(paths: Iterable[Path]) -> list[Path]:
    """Return paths without those of masks, in the same order.

    A file is a mask if it has the mark of this project and a name such as `a_disc.png`; if it
    looks like a mask, and is named `a_disc`, `a_mask` and the like, or `a`, beside an image `a`; or
    if a legend for it lies beside it.

    Parameters
    ----------
    paths
        Image files. Only those whose names may be names of masks are opened.

    Raises
    ------
    TargetError
        If the user's targets cannot be read.
    """
    listings: dict[Path, _Names] = {}
    kept = []
    words: tuple[str, ...] = (*all_targets(), *_OTHER_NAMES)
    for path in paths:
        if path.parent not in listings:
            listings[path.parent] = _names_by_stem(path.parent)
        if not _is_mask(path, listings[path.parent], words):
            kept.append(path)
    return kept


def _names_by_stem(folder: Path) -> _Names:
    found: dict[str, list[str]] = defaultdict(list)
    try:
        names = [path for path in folder.iterdir() if is_image_file(path)]
    except OSError:  # whatever lists the folder reports it
        return {}
    for path in names:
        found[plain_name(image_stem(path))].append(path.name)
    return dict(found)


def _is_mask(path: Path, beside: _Names, words: tuple[str, ...]) -> bool:
    stem = plain_name(image_stem(path))
    if (
        image_suffix(path) in _MARKED
        and _WRITTEN_NAME.fullmatch(image_stem(path))
        and is_marked_mask(path)
    ):
        return True
    if legend_path(path).is_file():
        return True
    whole = stem.removesuffix(_PROBABILITY)
    images = {whole.removesuffix(f"_{word}") for word in words} - {whole}
    if any(image in beside for image in images):
        return whole != stem or _looks_like_a_mask(path)
    others = [path.with_name(name) for name in beside.get(stem, ()) if name != path.name]
    return (
        bool(others)
        and _looks_like_a_mask(path)
        and not all(_looks_like_a_mask(other) for other in others)
    )


def _looks_like_a_mask(path: Path) -> bool:
    try:
        return is_two_toned(read_values(path))
    except (ImageError, ValueError):  # unreadable, or in color
        return False
