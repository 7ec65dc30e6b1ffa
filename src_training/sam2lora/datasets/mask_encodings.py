"""Mask file formats of datasets: pixel maps, soft maps, contours, polygons, MATLAB arrays.

`ENCODINGS` is the table; a dataset's layout names its encodings by their keys.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage import draw

from sam2lora.datasets.ellipses import Ellipse, Landmark
from sam2lora.datasets.label_maps import read_legend, select_target
from sam2lora.datasets.matlab import read_matlab_mask
from sam2lora.errors import ImageError, UnclearMaskError
from sam2lora.images.reading import above_half, read_values
from sam2lora.types import Mask
from sam2lora.utils.json_files import parse_json

Shape = tuple[int, int]

_CIRCLE_POINTS = 360


@dataclass(frozen=True)
class Encoding:
    """One way of writing a mask to a file.

    Attributes
    ----------
    about
        Short description of what is read as the structure.
    read
        Reads the file, given the `(H, W)` of its image, as `(H, W)` values. If the file has a size
        of its own, the values have that size, and the caller compares it.
    select
        Maps `(H, W)` values to a `(H, W)` bool mask of the structure.
    levels
        The values a clean file holds, or how many different ones it may hold; None for any.
    may_be_empty
        Whether an empty mask is valid and means that the structure is not visible.
    may_be_labels
        Whether the file may be a label map instead, of several structures: see `label_maps`.
    """

    about: str
    read: Callable[[Path, Shape], NDArray[Any]]
    select: Callable[[NDArray[Any]], Mask]
    levels: frozenset[int] | int | None = None
    may_be_empty: bool = False
    may_be_labels: bool = False


@dataclass(frozen=True)
class MaskFile:
    """A mask file and how to read it.

    Attributes
    ----------
    path
        The file.
    encoding
        Key of its encoding in `ENCODINGS`.
    target
        Name of the target it shows; empty for the field of view and ignored pixels.
    labels
        Values that show the target, if it is a label map and the user names them.
    rivals
        Other files that are masks of the same target, image and grader: which is right is unclear.
    drawn
        The ellipse or point to draw, if the file lists those of many images.
    confidence
        How sure the network was that predicted it, 0…1; None if that is not known.
    """

    path: Path
    encoding: str
    target: str = field(default="", kw_only=True)
    labels: tuple[int, ...] = field(default=(), kw_only=True)
    rivals: tuple[Path, ...] = field(default=(), kw_only=True)
    drawn: Ellipse | Landmark | None = field(default=None, kw_only=True)
    confidence: float | None = field(default=None, kw_only=True)

    def read(self, shape: Shape) -> Mask:
        """Read the mask.

        Parameters
        ----------
        shape
            `(H, W)` of the image it belongs to; contours and polygons are drawn at this size.

        Raises
        ------
        ImageError
            If the file cannot be read in its encoding; `UnclearMaskError` if it has rivals, or is a
            label map and nothing says which of its labels show the target.
        """
        return self.select(self.read_values(shape))

    def read_values(self, shape: Shape) -> NDArray[Any]:
        """Read the `(H, W)` values of the file, of which `select` makes the mask.

        Raises
        ------
        ImageError
            As in `read`, for the file and its rivals.
        """
        if self.rivals:
            others = " and ".join(map(str, self.rivals))
            what = f" of {self.target}" if self.target else ""
            raise UnclearMaskError(
                f"{self.path}: is one of several masks{what} of one image, beside {others}, and "
                "nothing says which is right. Keep one of them."
            )
        if self.drawn is not None:
            return self.drawn.draw(shape, self.path)
        return ENCODINGS[self.encoding].read(self.path, shape)

    def has_labels(self) -> bool:
        """Check whether it is known which values of the file show its target."""
        if not self.target or not ENCODINGS[self.encoding].may_be_labels:
            return False
        return bool(self.labels or read_legend(self.path))

    def select(self, values: NDArray[Any]) -> Mask:
        """Return which of the values of the file are on the target.

        Raises
        ------
        ImageError
            As in `read`, for a label map.
        """
        encoding = ENCODINGS[self.encoding]
        if encoding.may_be_labels:
            return select_target(values, self.path, target=self.target, labels=self.labels)
        return encoding.select(values)


def _read_raster(path: Path, shape: Shape) -> NDArray[Any]:
    try:
        values = read_values(path)
    except ValueError:  # of an array without pixels
        values = np.empty((0, 0))
    if values.size == 0:
        raise ImageError(f"{path}: holds no pixels. Save the mask again, or remove the file.")
    return values


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ImageError(f"{path}: cannot be read ({reason}).") from error


def _fill(path: Path, points: Sequence[tuple[float, float]], mask: Mask) -> None:
    """Fill the polygon of (x, y) `points` into `mask`; pixel centers are at integers."""
    height, width = mask.shape
    for x, y in points:
        if not (-1.5 <= x <= width + 0.5 and -1.5 <= y <= height + 0.5):
            raise ImageError(
                f"{path}: the outline reaches ({x:g}, {y:g}), outside its image of "
                f"{width} × {height}. It was drawn on an image of another size."
            )
    columns, rows = np.array(points, dtype=np.float64).T
    mask[draw.polygon(rows, columns, shape=mask.shape)] = True


def _read_contour(path: Path, shape: Shape) -> Mask:
    points = []
    for number, line in enumerate(_read_text(path).splitlines(), start=1):
        numbers = [text for text in re.split(r"[\s,;]+", line) if text]
        if not numbers:
            continue
        try:
            x, y = map(float, numbers)
        except ValueError:
            x = y = math.nan
        if not (math.isfinite(x) and math.isfinite(y)):
            raise ImageError(
                f"{path}: line {number} is {line.strip()[:40]!r}; a contour has two numbers, "
                "x and y, on each line."
            )
        points.append((x, y))
    if len(points) < 3:
        raise ImageError(f"{path}: has {len(points)} points; an outline needs at least three.")
    mask = np.zeros(shape, dtype=np.bool_)
    _fill(path, points, mask)
    return mask


def _read_labelme(path: Path, shape: Shape, *, label: str, required: bool) -> Mask:
    text = _read_text(path)
    try:
        content = parse_json(text, str(path), error=ImageError)
        size = (content.get("imageHeight"), content.get("imageWidth"))
        shapes = [
            (str(item["label"]), str(item.get("shape_type") or "polygon"), item["points"])
            for item in content["shapes"]
        ]
        drawn = [
            (kind, [(float(x), float(y)) for x, y in points])
            for name, kind, points in shapes
            if name.strip().lower() == label.lower()
        ]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ImageError(f"{path}: is not a labelme JSON file with polygons.") from error
    if None not in size and size != shape:
        raise ImageError(
            f"{path}: was drawn on an image of {size[1]} × {size[0]}, but its image is "
            f"{shape[1]} × {shape[0]} (width × height)."
        )
    if required and not drawn:
        names = ", ".join(sorted({name for name, *_ in shapes})) or "none"
        raise ImageError(f"{path}: has no polygon labelled {label!r}; its labels: {names}.")
    mask = np.zeros(shape, dtype=np.bool_)
    for kind, points in drawn:
        outline = _labelme_outline(path, label, kind, points)
        if len(outline) < 3:
            raise ImageError(f"{path}: {label!r} has {len(outline)} points; three are needed.")
        _fill(path, outline, mask)
    return mask


def _labelme_outline(
    path: Path, label: str, kind: str, points: list[tuple[float, float]]
) -> list[tuple[float, float]]:
    """Return the outline of a polygon, rectangle or circle of labelme."""
    if kind == "polygon":
        return points
    if kind in ("rectangle", "circle") and len(points) == 2:
        (x, y), (right, bottom) = points
        if kind == "rectangle":
            return [(x, y), (right, y), (right, bottom), (x, bottom)]
        radius = math.hypot(right - x, bottom - y)
        turns = (2 * math.pi * number / _CIRCLE_POINTS for number in range(_CIRCLE_POINTS))
        return [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
    raise ImageError(
        f"{path}: {label!r} is drawn as {kind} of {len(points)} points, which encloses nothing. "
        "Draw it as a polygon, a circle or a rectangle."
    )


def _non_zero(values: NDArray[Any]) -> Mask:
    mask: Mask = values != 0
    return mask


def _at_least(values: NDArray[Any], *, least: float) -> Mask:
    mask: Mask = values >= least
    return mask


def _below(values: NDArray[Any], *, limit: float) -> Mask:
    mask: Mask = values < limit
    return mask


def _labelme(label: str, *, required: bool = True) -> Encoding:
    return Encoding(
        f"polygons labelled {label} in a labelme JSON file"
        + ("" if required else "; without one, the mask is empty"),
        partial(_read_labelme, label=label, required=required),
        _non_zero,
        may_be_empty=not required,
    )


# 255, 128, 0 are far apart: limits between them also work for files with lossy compression.
_REFUGE = frozenset({0, 128, 255})
_SOFT = frozenset({0, 63, 64, 127, 128, 191, 192, 255})  # 0…4 quarters of 255, rounded up or down

ENCODINGS: MappingProxyType[str, Encoding] = MappingProxyType(
    {
        "half": Encoding(
            "pixels above half of the full scale; or the labels of a label map",
            _read_raster,
            above_half,
            levels=2,
            may_be_labels=True,
        ),
        "nonzero": Encoding("pixels that are not 0", _read_raster, _non_zero, levels=2),
        "soft": Encoding(
            "pixels marked by at least 3 of 4 experts (191 or more)",
            _read_raster,
            partial(_at_least, least=191),
            levels=_SOFT,
        ),
        "refuge-disc": Encoding(
            "rim (128) and cup (0); 255 is background",
            _read_raster,
            partial(_below, limit=192),
            levels=_REFUGE,
        ),
        "refuge-cup": Encoding(
            "cup (0); 128 is rim, 255 background",
            _read_raster,
            partial(_below, limit=64),
            levels=_REFUGE,
        ),
        "contour": Encoding("the inside of a contour, x and y per line", _read_contour, _non_zero),
        "labelme-disc": _labelme("disc"),
        "labelme-cup-if-any": _labelme("cup", required=False),
        "labelme-od": _labelme("OD"),
        "labelme-oc": _labelme("OC"),
        "matlab-disc": Encoding(
            "rim (1) and cup (2) of the MATLAB array `mask`",
            read_matlab_mask,
            partial(_at_least, least=1),
            levels=frozenset({0, 1, 2}),
        ),
        "matlab-cup": Encoding(
            "cup (2) of the MATLAB array `mask`",
            read_matlab_mask,
            partial(_at_least, least=2),
            levels=frozenset({0, 1, 2}),
        ),
    }
)
"""Every encoding a layout may name."""
