"""Label maps: mask files in which each value is a structure, and how it is known which.

A legend beside the file, or the labels a user names, say which values show a target. Without
either, a label map is refused: nothing is guessed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import convex_hull_image

from sam2lora.datasets.mask_levels import find_labels, levels_of
from sam2lora.errors import ImageError, SettingsError, UnclearMaskError
from sam2lora.images.decoding import image_stem, image_suffix
from sam2lora.images.reading import above_half
from sam2lora.targets import all_targets, get_target
from sam2lora.types import Mask
from sam2lora.utils.json_files import read_json_object

Labels = Mapping[str, tuple[int, ...]]
"""Values that show a target, by its name."""

NO_LABELS: Labels = MappingProxyType({})

FOLDER_LEGEND = "legend.json"
"""Name of a legend for all label maps of its folder."""

LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif"})
"""Formats whose compression adds values to those of a mask."""

_FULL_SCALES = (255, 65535)
_PARTS = {"disc": ("cup",)}  # a cup lies in its disc, and hides that part of it in a label map
_WITHIN = 0.95  # of a label's pixels that lie in a hole of the disc, if it is the cup
_SHOWN = 12


@dataclass(frozen=True)
class Legend:
    """What the values of a label map show.

    Attributes
    ----------
    values
        Values of each target; those of nested targets included.
    above
        Values that hide others, by target: painted over it where both are.
    """

    values: Labels
    above: Labels


def legend_path(label_map: Path) -> Path:
    """Return the path of the legend of one label map."""
    return label_map.with_name(f"{image_stem(label_map)}_legend.json")


def parse_labels(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Parse the labels of targets as given on the command line: `disc=1+2` or `disc=2,cup=3`.

    Raises
    ------
    SettingsError
        If a text has another form, or a value is no positive whole number.
    TargetError
        If a target is unknown.
    """
    found: dict[str, tuple[int, ...]] = {}
    name = ""
    for part in (part for text in texts for part in text.split(",")):
        before, equals, values = part.rpartition("=")
        name = get_target(before.strip()).name if equals else name
        numbers = [number.strip() for number in values.split("+")]
        if not name or not all(n.isascii() and n.isdecimal() and 0 < len(n) < 6 for n in numbers):
            raise SettingsError(
                f"Labels are given as disc=2, or disc=1+2 for several, not as {part!r}."
            )
        found[name] = (*found.get(name, ()), *map(int, numbers))
    return found


def with_parts(target: str, labels: Labels) -> tuple[int, ...]:
    """Return the values of a target and of what lies in it: those of the cup show the disc, too."""
    parts = (labels.get(part, ()) for part in _PARTS.get(target, ()))
    return tuple(dict.fromkeys([*labels[target], *(value for part in parts for value in part)]))


def select_target(
    values: NDArray[Any], path: Path, *, target: str = "", labels: tuple[int, ...] = ()
) -> Mask:
    """Return where a mask file shows its target.

    Parameters
    ----------
    values
        `(H, W)` values of the file.
    path
        The file; a legend may be beside it.
    target
        Name of the target; empty for the field of view and ignored pixels.
    labels
        Values that show the target, if the user names them; they go before a legend.

    Returns
    -------
    `(H, W)` bool. Values of a mask are above half of the full scale; those of a label map are the
    labels of the target.

    Raises
    ------
    UnclearMaskError
        If the file is a label map, and nothing says which of its labels show the target; or a
        label that is none of the disc's fills a hole in it, as that of the cup does.
    ImageError
        If the legend cannot be read.
    """
    levels = levels_of(values)
    legend = None if labels or not target else read_legend(path)
    if legend is not None and target not in legend.values and not _is_plain_mask(levels, ()):
        raise UnclearMaskError(
            f"{path}: its legend has no label of {target}, only of: "
            f"{', '.join(legend.values) or 'nothing'}."
        )
    shown = legend.values.get(target, ()) if legend else labels
    lossy = image_suffix(path) in LOSSY
    if shown and not lossy and not _is_plain_mask(levels, shown):
        mask: Mask = np.isin(values, shown)
        hidden = legend.above.get(target, ()) if legend else ()
        if target in _PARTS:
            _check_whole(values, mask, path, target=target, shown=shown, hidden=hidden)
        return _with_hidden(mask, np.isin(values, hidden)) if hidden else mask
    unknown = find_labels(values, levels, lossy=lossy)
    if unknown:
        raise UnclearMaskError(_question(path, unknown, target, lossy=lossy))
    return above_half(values)


def read_legend(label_map: Path) -> Legend | None:
    """Read the legend of a label map: its own, or that of its folder; None if there is none.

    Raises
    ------
    ImageError
        If it is damaged.
    """
    candidates = (legend_path(label_map), label_map.with_name(FOLDER_LEGEND))
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        return None
    content = read_json_object(path, error=ImageError)
    try:
        values = {str(name): _legend_values(entry) for name, entry in content["labels"].items()}
        priority = [str(name) for name in content.get("priority", ())]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ImageError(
            f"{path}: is no legend of a label map. It looks like "
            '{"labels": {"disc": [1, 2], "cup": 2}}.'
        ) from error
    return _nested(values, priority)


def _legend_values(entry: object) -> tuple[int, ...]:
    """Return the values of a target, given as a number, several, or an object with `value`."""
    found = entry["value"] if isinstance(entry, Mapping) else entry
    numbers = found if isinstance(found, list) else [found]
    if not numbers or not all(type(number) is int for number in numbers):
        raise ValueError(f"{found!r} is no label")
    return tuple(numbers)


def _nested(values: Labels, priority: list[str]) -> Legend:
    """Add what a map with priorities hides: a cup of its disc, and what is painted over both."""
    whole: dict[str, tuple[int, ...]] = {}
    above: dict[str, tuple[int, ...]] = {}
    for name in values:
        over = priority[: priority.index(name)] if name in priority else []
        parts = _PARTS.get(name, ())
        whole[name] = with_parts(name, values)
        known = all_targets().get(name)
        if known is not None and known.convex:
            above[name] = tuple(
                value for other in over if other not in parts for value in values.get(other, ())
            )
    return Legend(whole, above)


def _check_whole(
    values: NDArray[Any],
    mask: Mask,
    path: Path,
    *,
    target: str,
    shown: tuple[int, ...],
    hidden: tuple[int, ...],
) -> None:
    """Check that no label lies in a hole of its mask; those that are painted over it may."""
    hole = ndimage.binary_fill_holes(mask) & ~mask
    for level in np.unique(values[hole]):
        everywhere = int(np.count_nonzero(values == level))
        inside = int(np.count_nonzero(values[hole] == level))
        if level != 0 and int(level) not in hidden and inside >= _WITHIN * everywhere:
            both = "+".join(map(str, (*shown, int(level))))
            raise UnclearMaskError(
                f"{path}: the label {level:g} fills a hole in the {target}, labelled "
                f"{'+'.join(map(str, shown))}. If it shows a part of it, such as the cup, name "
                f"both, as in --labels {target}={both} or in a legend."
            )


def _with_hidden(mask: Mask, hidden: Mask) -> Mask:
    """Return a convex mask with the pixels in its hull that another target hides."""
    if not mask.any() or not hidden.any():
        return mask
    whole: Mask = mask | (hidden & convex_hull_image(mask))
    return whole


def _is_plain_mask(levels: list[float], shown: tuple[int, ...]) -> bool:
    """Check whether a file beside label maps is a mask of 0 and 255 all the same."""
    top = levels[-1]
    return top in _FULL_SCALES and top not in shown and set(levels) <= {0.0, top}


def _question(path: Path, labels: list[float], target: str, *, lossy: bool) -> str:
    shown = ", ".join(f"{label:g}" for label in labels[:_SHOWN])
    more = f", … ({len(labels)} in all)" if len(labels) > _SHOWN else ""
    if not target:
        return (
            f"{path}: holds the values {shown}{more}, but a mask of two values is needed here. "
            "Save it as 0 and 255."
        )
    if lossy:
        return (
            f"{path}: holds the values {shown}{more}, which are no mask of 0 and 255. If it is a "
            "label map, save it as PNG: this format changes labels."
        )
    example = [int(label) for label in labels[:2]]
    option = "+".join(map(str, example))
    return (
        f"{path}: is a label map with the labels {shown}{more}, and nothing says which of them are "
        f"{target}. Name them: for a dataset, as in --labels {target}={option}, or in a file "
        f'{FOLDER_LEGEND} beside it, as in {{"labels": {{"{target}": {example}}}}}.'
    )
