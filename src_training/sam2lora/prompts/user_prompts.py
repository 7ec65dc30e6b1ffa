"""Prompts of a user: points, a box and a painted mask, in native pixels of one image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from sam2lora.datasets.ellipses import Ellipse
from sam2lora.errors import GeometryError
from sam2lora.transforms.windows import Window
from sam2lora.types import Mask

Box = tuple[float, float, float, float]

_ONE_PIXEL = 1 - 1e-6  # after rounding errors


@dataclass(frozen=True)
class PointPrompt:
    """A positive (on the target) or negative point, (x, y) in native pixels.

    Attributes
    ----------
    x, y
        Where it is.
    positive
        Whether it is on the target.
    branch
        Whether it adds or removes a whole branch of a tree, such as one of the vessels.
    """

    x: float
    y: float
    positive: bool = True
    branch: bool = False


@dataclass(frozen=True, eq=False)
class Prompts:
    """The prompts of a user for one target in one image; each part is optional.

    Attributes
    ----------
    points
        Positive and negative points.
    box
        (x0, y0, x1, y1) in native pixels, at least one pixel wide and high.
    mask
        `(H, W)` bool: a previous or painted mask to start from. An empty mask counts as none, so
        that an unpainted layer can be passed as it is.
    outline
        An ellipse that a user drew as the target's outline. It is the prediction; points correct
        it.

    Raises
    ------
    GeometryError
        If a coordinate is not finite, or the box is inverted or smaller than a pixel.
    """

    points: tuple[PointPrompt, ...] = ()
    box: Box | None = None
    mask: Mask | None = None
    outline: Ellipse | None = None

    def __post_init__(self) -> None:
        coordinates = [number for point in self.points for number in (point.x, point.y)]
        if not np.isfinite([*coordinates, *(self.box or ())]).all():
            raise GeometryError("A point or box has a coordinate that is not a finite number.")
        if self.box and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise GeometryError(f"A box is x0,y0,x1,y1 with x0 < x1 and y0 < y1, not {self.box}.")
        if self.box and min(self.box[2] - self.box[0], self.box[3] - self.box[1]) < _ONE_PIXEL:
            raise GeometryError(f"A box must be at least one pixel wide and high, not {self.box}.")

    @property
    def empty(self) -> bool:
        """Whether there is no prompt, so that the segmentation is automatic."""
        drawn = self.points or self.box or self.outline
        return not drawn and (self.mask is None or not self.mask.any())

    def by_label(self) -> tuple[list[PointPrompt], list[PointPrompt]]:
        """Return the positive points and the negative points."""
        positive = [point for point in self.points if point.positive]
        return positive, [point for point in self.points if not point.positive]

    def check_inside(self, field: Mask) -> None:
        """Raise an error if prompts are outside the image or its field of view.

        Parameters
        ----------
        field
            `(H, W)` bool: the field of view.

        Raises
        ------
        GeometryError
            If a point, the whole box, outline or painted mask is outside, or the mask has another
            size.
        """
        height, width = field.shape
        for point in self.points:
            column, row = round(point.x), round(point.y)
            if not (0 <= column < width and 0 <= row < height):
                raise GeometryError(
                    f"The point ({point.x:g}, {point.y:g}) lies outside the image, which is "
                    f"{width} × {height} pixels."
                )
            if not field[row, column]:
                raise GeometryError(
                    f"The point ({point.x:g}, {point.y:g}) lies outside the field of view. "
                    "Place it on the visible part of the eye."
                )
        if not self._box_inside(field):
            raise GeometryError(f"The box {self.box} lies outside the field of view.")
        if not self._outline_inside(field):
            raise GeometryError("The outline lies outside the field of view.")
        if self.mask is None:
            return
        if self.mask.shape != field.shape:
            raise GeometryError(
                f"The painted mask has shape {self.mask.shape}, the image {field.shape}."
            )
        if self.mask.any() and not self.mask[field].any():
            raise GeometryError(
                "The whole painted mask lies outside the field of view. Paint on the visible part "
                "of the eye."
            )

    def inside(self, field: Mask) -> Self:
        """Return the prompts without the points, box and outline outside the field of view.

        Parameters
        ----------
        field
            `(H, W)` bool: the field of view.
        """
        height, width = field.shape
        points = tuple(
            point
            for point in self.points
            if 0 <= round(point.x) < width
            and 0 <= round(point.y) < height
            and field[round(point.y), round(point.x)]
        )
        box = self.box if self._box_inside(field) else None
        outline = self.outline if self._outline_inside(field) else None
        return type(self)(points, box, self.mask, outline)

    def _outline_inside(self, field: Mask) -> bool:
        if self.outline is None:
            return True
        height, width = field.shape
        return bool((self.outline.mask((height, width)) & field).any())

    def _box_inside(self, field: Mask) -> bool:
        return not self.box or bool(field[_covered(self.box, field.shape)].any())

    def within(self, window: Window) -> Self:
        """Return the prompts in a window: its points, the box clipped to it, and the mask.

        The mask is kept whole if the center of one of its pixels is in the window.
        """
        right, bottom = window.left + window.width, window.top + window.height
        points = tuple(
            point
            for point in self.points
            if window.left <= point.x + 0.5 < right and window.top <= point.y + 0.5 < bottom
        )
        box = self.box and _clipped(self.box, window)
        mask = self.mask if self.mask is not None and _cropped(self.mask, window).any() else None
        return type(self)(points, box, mask)


def parse_point(text: str) -> PointPrompt:
    """Read a point of the command line: `x,y`, `x,y,+` or `x,y,-`; with `,branch`, a branch's.

    Raises
    ------
    GeometryError
        If the text has another form.
    """
    branch = text.endswith(",branch")
    plain = text.removesuffix(",branch")
    *coordinates, sign = [*plain.split(","), "+"] if plain.count(",") == 1 else plain.split(",")
    numbers = _numbers(coordinates)
    if len(numbers) != 2 or sign.strip() not in ("+", "-"):
        raise GeometryError(
            f"A point is written x,y,+ (positive) or x,y,- (negative), not {text!r}."
        )
    return PointPrompt(numbers[0], numbers[1], sign.strip() == "+", branch)


def parse_box(text: str) -> Box:
    """Read a box of the command line: `x0,y0,x1,y1`.

    Raises
    ------
    GeometryError
        If the text has another form.
    """
    numbers = _numbers(text.split(","))
    if len(numbers) != 4:
        raise GeometryError(f"A box is written x0,y0,x1,y1, not {text!r}.")
    x0, y0, x1, y1 = numbers
    return x0, y0, x1, y1


def _numbers(texts: Sequence[str]) -> list[float]:
    """Return the numbers, or an empty list if one of the texts is not a number."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        return []


def _clipped(box: Box, window: Window) -> Box | None:
    """Return the part of a box inside a window, or None if it is smaller than a pixel."""
    x0, y0 = max(box[0], window.left - 0.5), max(box[1], window.top - 0.5)
    x1 = min(box[2], window.left + window.width - 0.5)
    y1 = min(box[3], window.top + window.height - 0.5)
    large_enough = min(x1 - x0, y1 - y0) >= _ONE_PIXEL
    return (x0, y0, x1, y1) if large_enough else None


def _cropped(mask: Mask, window: Window) -> Mask:
    """Return the pixels of a mask whose centers are in a window."""
    top, left = (max(math.ceil(edge - 0.5), 0) for edge in (window.top, window.left))
    bottom = max(math.ceil(window.top + window.height - 0.5), 0)
    right = max(math.ceil(window.left + window.width - 0.5), 0)
    return mask[top:bottom, left:right]


def _covered(box: Box, shape: Sequence[int]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (round(edge) for edge in box)
    height, width = shape
    return (
        slice(min(max(y0, 0), height), min(max(y1 + 1, 0), height)),
        slice(min(max(x0, 0), width), min(max(x1 + 1, 0), width)),
    )
