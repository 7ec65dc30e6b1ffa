"""Leave out of lists of images what is none: masks and pictures written here, and others' masks."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from pathlib import Path

from sam2lora.datasets.label_maps import legend_path
from sam2lora.datasets.mask_levels import is_two_toned
from sam2lora.errors import ImageError
from sam2lora.images.decoding import image_stem, is_image_file
from sam2lora.images.file_mark import is_marked
from sam2lora.images.reading import read_values
from sam2lora.utils.names import plain_name

_MOST_WORDS = 12  # of a name that are compared with other names

_Names = Mapping[str, list[str]]


def without_masks(paths: Iterable[Path]) -> list[Path]:
    """Return paths without those of masks and pictures, in the same order.

    A file is none of the images if it has the mark of this project; if it looks like a mask, and
    its name holds that of an image beside it as whole words, such as `a_disc`, `a (1)` or `mask-a`
    beside `a`, or differs from it in its ending alone; or if a legend for it lies beside it.

    Parameters
    ----------
    paths
        Image files. Of those without a mark, only those whose names may be names of masks are
        decoded.
    """
    listings: dict[Path, _Names] = {}
    kept = []
    for path in paths:
        if path.parent not in listings:
            listings[path.parent] = _names_by_stem(path.parent)
        if not _is_mask(path, listings[path.parent]):
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


def _is_mask(path: Path, beside: _Names) -> bool:
    if is_marked(path) or legend_path(path).is_file():
        return True
    stem = plain_name(image_stem(path))
    if any(name in beside for name in _names_within(stem)):
        return _looks_like_a_mask(path)
    others = [path.with_name(name) for name in beside.get(stem, ()) if name != path.name]
    return (
        bool(others)
        and _looks_like_a_mask(path)
        and not all(_looks_like_a_mask(other) for other in others)
    )


def _names_within(stem: str) -> Iterator[str]:
    """Yield the shorter names that a name holds as whole words."""
    words = [match.span() for match in re.finditer(r"[^\W_]+", stem)]
    for first, last in combinations(range(min(len(words), _MOST_WORDS) + 1), 2):
        name = stem[words[first][0] : words[last - 1][1]]
        if name != stem:
            yield name


def _looks_like_a_mask(path: Path) -> bool:
    try:
        return is_two_toned(read_values(path))
    except (ImageError, ValueError):  # unreadable, or in color
        return False
