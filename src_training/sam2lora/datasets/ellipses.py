"""An ellipse as the mask of a disc or a cup: a few numbers instead of a file of pixels."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam2lora.errors import ImageError
from sam2lora.types import Mask

_ROUNDING = 1e-9  # of a turned axis that ends at a pixel's center


@dataclass(frozen=True)
class Ellipse:
    """An ellipse in an image, with pixel centers at integers.

    Attributes
    ----------
    x, y
        Center, in native pixels.
    rx, ry
        Half of its axes, in native pixels.
    angle
        Degrees from the image's x axis to the axis of `rx`, towards its y axis, which points down.
    grade
        How certain it is, as its author graded it; empty if it is not graded.
    """

    x: float
    y: float
    rx: float
    ry: float
    angle: float = 0.0
    grade: str = ""

    def draw(self, shape: tuple[int, int], path: Path) -> Mask:
        """Draw the pixels whose center is in the ellipse, `(H, W)` bool.

        Parameters
        ----------
        shape
            `(H, W)` of the image.
        path
            The file of the ellipse, for the error.

        Raises
        ------
        ImageError
            If its center is outside the image.
        """
        height, width = shape
        if not (-0.5 <= self.x <= width - 0.5 and -0.5 <= self.y <= height - 0.5):
            raise ImageError(
                f"{path}: an ellipse is around ({self.x:g}, {self.y:g}), outside its image of "
                f"{width} × {height}. It was drawn on an image of another size."
            )
        return self.mask(shape)

    def mask(self, shape: tuple[int, int]) -> Mask:
        """Return the pixels of an image of shape `(H, W)` whose center is in it, `(H, W)` bool."""
        mask = np.zeros(shape, dtype=np.bool_)
        reach = max(self.rx, self.ry) + 1
        top, left = (max(0, math.floor(center - reach)) for center in (self.y, self.x))
        bottom, end = (max(0, math.ceil(center + reach) + 1) for center in (self.y, self.x))
        part = mask[top:bottom, left:end]
        rows, columns = np.ogrid[: part.shape[0], : part.shape[1]]
        right, down = columns + (left - self.x), rows + (top - self.y)
        cosine, sine = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        along = (right * cosine + down * sine) / self.rx
        across = (down * cosine - right * sine) / self.ry
        part[:] = along**2 + across**2 <= 1 + _ROUNDING
        return mask
