"""Prompts as a user gives them: points, a box and a painted mask, in native pixels of one image."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from sam2lora.errors import GeometryError
from sam2lora.transforms.windows import Window
from sam2lora.types import Mask

Box = tuple[float, float, float, float]

_ONE_PIXEL = 1 - 1e-6  # whatever rounding leaves of it


@dataclass(frozen=True)
class PointPrompt:
    """A point on the target (`positive`) or off it, (x, y) in native pixels."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True, eq=False)
class Prompts:
    """What a user says about one target in one image; all of it may be missing.

    Attributes
    ----------
    points
        Points on and off the target.
    box
        (x0, y0, x1, y1) in native pixels, at least one pixel wide and high.
    mask
        `(H, W)` bool: a previous or painted answer to start from. One without a pixel says
        nothing, so that a layer nobody has painted on yet can be passed as it is.

    Raises
    ------
    GeometryError
        If a coordinate is not finite, or the box is turned round or smaller than a pixel.
    """

    points: tuple[PointPrompt, ...] = ()
    box: Box | None = None
    mask: Mask | None = None

    def __post_init__(self) -> None:
        numbers = [number for click in self.points for number in (click.x, click.y)]
        if not np.isfinite([*numbers, *(self.box or ())]).all():
            raise GeometryError("A point or box has a coordinate that is not a finite number.")
        if self.box and not (self.box[0] < self.box[2] and self.box[1] < self.box[3]):
            raise GeometryError(f"A box is x0,y0,x1,y1 with x0 < x1 and y0 < y1, not {self.box}.")
        if self.box and min(self.box[2] - self.box[0], self.box[3] - self.box[1]) < _ONE_PIXEL:
            raise GeometryError(f"A box is at least one pixel wide and high, not {self.box}.")

    @property
    def empty(self) -> bool:
        """Whether nothing is said, so that the answer is the automatic one."""
        return not (self.points or self.box) and (self.mask is None or not self.mask.any())

    def by_label(self) -> tuple[list[PointPrompt], list[PointPrompt]]:
        """Give the points on the target, and those off it."""
        on = [click for click in self.points if click.positive]
        return on, [click for click in self.points if not click.positive]

    def check_inside(self, field: Mask) -> None:
        """Refuse prompts that lie outside the image or its field of view.

        Parameters
        ----------
        field
            `(H, W)` bool: the field of view.

        Raises
        ------
        GeometryError
            If a point, the whole box or all that is painted lies outside; or the mask has another
            size.
        """
        height, width = field.shape
        for click in self.points:
            column, row = round(click.x), round(click.y)
            if not (0 <= column < width and 0 <= row < height):
                raise GeometryError(
                    f"The point ({click.x:g}, {click.y:g}) lies outside the image, which is "
                    f"{width} × {height} pixels."
                )
            if not field[row, column]:
                raise GeometryError(
                    f"The point ({click.x:g}, {click.y:g}) lies outside the field of view. "
                    "Put it on the visible part of the eye."
                )
        if not self._box_inside(field):
            raise GeometryError(f"The box {self.box} lies outside the field of view.")
        if self.mask is None:
            return
        if self.mask.shape != field.shape:
            raise GeometryError(
                f"The painted mask has shape {self.mask.shape}, the image {field.shape}."
            )
        if self.mask.any() and not self.mask[field].any():
            raise GeometryError(
                "All of the painted mask lies outside the field of view. Paint on the visible part "
                "of the eye."
            )

    def inside(self, field: Mask) -> Self:
        """Leave out the points and the box that `check_inside` refuses; the mask stays.

        Parameters
        ----------
        field
            `(H, W)` bool: the field of view.
        """
        height, width = field.shape
        clicks = tuple(
            click
            for click in self.points
            if 0 <= round(click.x) < width
            and 0 <= round(click.y) < height
            and field[round(click.y), round(click.x)]
        )
        return type(self)(clicks, self.box if self._box_inside(field) else None, self.mask)

    def _box_inside(self, field: Mask) -> bool:
        return not self.box or bool(field[_covered(self.box, field.shape)].any())

    def within(self, frame: Window) -> Self:
        """Keep what a window shows: points inside it, the box clipped to it, and the mask.

        The mask is kept, whole, if one of its pixels has its center in the window.
        """
        right, bottom = frame.left + frame.width, frame.top + frame.height
        clicks = tuple(
            click
            for click in self.points
            if frame.left <= click.x + 0.5 < right and frame.top <= click.y + 0.5 < bottom
        )
        box = self.box and _clipped(self.box, frame)
        mask = self.mask if self.mask is not None and _shown(self.mask, frame).any() else None
        return type(self)(clicks, box, mask)


def parse_point(text: str) -> PointPrompt:
    """Read a point as the command line takes it: `x,y`, `x,y,+` or `x,y,-`.

    Raises
    ------
    GeometryError
        If the text is something else.
    """
    *place, sign = [*text.split(","), "+"] if text.count(",") == 1 else text.split(",")
    numbers = _numbers(place)
    if len(numbers) != 2 or sign.strip() not in ("+", "-"):
        raise GeometryError(f"A point is written x,y,+ (on the target) or x,y,- , not {text!r}.")
    return PointPrompt(numbers[0], numbers[1], positive=sign.strip() == "+")


def parse_box(text: str) -> Box:
    """Read a box as the command line takes it: `x0,y0,x1,y1`.

    Raises
    ------
    GeometryError
        If the text is something else.
    """
    numbers = _numbers(text.split(","))
    if len(numbers) != 4:
        raise GeometryError(f"A box is written x0,y0,x1,y1, not {text!r}.")
    x0, y0, x1, y1 = numbers
    return x0, y0, x1, y1


def _numbers(texts: Sequence[str]) -> list[float]:
    """Read numbers; nothing at all if one of the texts is none."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        return []


def _clipped(box: Box, frame: Window) -> Box | None:
    """Give the part of a box inside a window, or None when less than a pixel is left."""
    x0, y0 = max(box[0], frame.left - 0.5), max(box[1], frame.top - 0.5)
    x1 = min(box[2], frame.left + frame.width - 0.5)
    y1 = min(box[3], frame.top + frame.height - 0.5)
    large_enough = min(x1 - x0, y1 - y0) >= _ONE_PIXEL
    return (x0, y0, x1, y1) if large_enough else None


def _shown(mask: Mask, frame: Window) -> Mask:
    """Give the pixels of a mask whose centers lie in a window."""
    top, left = (max(math.ceil(edge - 0.5), 0) for edge in (frame.top, frame.left))
    bottom = max(math.ceil(frame.top + frame.height - 0.5), 0)
    right = max(math.ceil(frame.left + frame.width - 0.5), 0)
    return mask[top:bottom, left:right]


def _covered(box: Box, shape: Sequence[int]) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (round(edge) for edge in box)
    height, width = shape
    return (
        slice(min(max(y0, 0), height), min(max(y1 + 1, 0), height)),
        slice(min(max(x0, 0), width), min(max(x1 + 1, 0), width)),
    )
