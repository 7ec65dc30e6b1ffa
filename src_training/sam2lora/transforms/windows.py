"""Windows of the native image as network input, tile grids, and the blending of their results.

A `Window` maps between native pixels and network pixels. Points have pixel centers at integers in
both; windows are given by their edges, so that pixel 0 covers 0…1.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.transforms.canvas import padded, spans_of_window

Points = NDArray[np.float64]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """A window of the native image that is the network's square input.

    Attributes
    ----------
    left, top
        Corner of the window, in native pixels from the image's corner; the window may extend
        beyond the image, where it is black.
    width, height
        Sides in native pixels. Equal sides keep the aspect ratio; `Window.stretched` does not.
    size
        Side of the network's input in pixels.

    Raises
    ------
    GeometryError
        If a side is not positive.
    """

    left: float
    top: float
    width: float
    height: float
    size: int

    def __post_init__(self) -> None:
        if not (self.width > 0 and self.height > 0 and self.size > 0):
            raise GeometryError(
                f"A window of {self.width} × {self.height} pixels at input size {self.size} is "
                "empty; every side must be positive."
            )

    @classmethod
    def stretched(cls, shape: tuple[int, int], size: int) -> "Window":
        """Create the window of a whole image `(H, W)`, stretched to a square as in SAM 2."""
        return cls(0, 0, shape[1], shape[0], size)

    @classmethod
    def around(cls, center: tuple[float, float], side: float, size: int) -> "Window":
        """Create the square window of `side` native pixels around `center` (x, y)."""
        x, y = center
        return cls(x + 0.5 - side / 2, y + 0.5 - side / 2, side, side, size)

    @property
    def scale(self) -> tuple[float, float]:
        """Network pixels per native pixel (x, y)."""
        return self.size / self.width, self.size / self.height

    def to_network(self, points: Points) -> Points:
        """Map native points `(…, 2)` (x, y) to network pixels."""
        return (points + 0.5 - (self.left, self.top)) * self.scale - 0.5

    def to_native(self, points: Points) -> Points:
        """Map network points `(…, 2)` (x, y) to native pixels, the inverse of `to_network`."""
        return (points + 0.5) / self.scale + (self.left, self.top) - 0.5

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Cut the window out of an image and resample it with antialiasing.

        Parameters
        ----------
        image
            `(H, W, 3)` or `(H, W)` uint8.

        Returns
        -------
        `(size, size, 3)` or `(size, size)` uint8; black beyond the image.
        """
        down, across = spans_of_window(
            (self.top, self.left), (self.height, self.width), self.size, image.shape[:2]
        )
        cut = np.zeros((self.size, self.size, *image.shape[2:]), dtype=np.uint8)
        if down.count and across.count:
            canvas = Image.fromarray(padded(image, down.native, across.native))
            cut[down.network, across.network] = canvas.resize(
                (across.count, down.count),
                Image.Resampling.BILINEAR,
                box=(across.start, down.start, across.end, down.end),
            )
        return cut

    def cut_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Cut the window out of a mask `(H, W)`; pixels that are at least half covered are True."""
        return self.cut(mask.astype(np.uint8) * np.uint8(255)) >= 128

    def paste(self, values: Values, shape: tuple[int, int]) -> "Pasted":
        """Resample values over the window to the native pixels that are wholly inside it.

        Bilinear between the values' centers, as SAM 2 upsamples its masks.

        Parameters
        ----------
        values
            `(n, n)` float32 over the whole window, at any resolution `n`.
        shape
            `(H, W)` of the native image.

        Raises
        ------
        GeometryError
            If the window does not touch the image.
        """
        top, bottom = _inside(self.top, self.height, shape[0])
        left, right = _inside(self.left, self.width, shape[1])
        if top >= bottom or left >= right:
            raise GeometryError(f"The window {self} is outside an image of shape {shape}.")
        import torch  # late: only callers with network output need it

        rows, columns = slice(top, bottom), slice(left, right)
        above, below, down = _between(rows, self.top, self.height, values.shape[0])
        before, after, across = _between(columns, self.left, self.width, values.shape[1])
        coarse = torch.from_numpy(values)
        # Columns first, while there are few rows; rows are copied whole.
        wide = torch.lerp(coarse[:, before], coarse[:, after], torch.from_numpy(across))
        native = torch.lerp(wide[above], wide[below], torch.from_numpy(down)[:, None])
        return Pasted(rows, columns, native.numpy())


@dataclass(frozen=True, eq=False)
class Pasted:
    """Values on the native pixels of a window; they belong to `image[rows, columns]`."""

    rows: slice
    columns: slice
    values: Values


class Blend:
    """Blends overlapping windows, each weighted by a Hann window.

    The weight of a native pixel in a window is sin²(πu)·sin²(πv), where (u, v) in 0…1 is its
    position in the window, so predictions fade out where a window has little context. Weights are
    normalised: a pixel covered by one window keeps the value of that window.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._shape = shape
        self._sum = np.zeros(shape, dtype=np.float32)
        self._weight = np.zeros(shape, dtype=np.float32)

    def add(self, window: Window, values: Values) -> None:
        """Add one window's values, `(n, n)` float32 (see `Window.paste`)."""
        self.add_pasted(window, window.paste(values, self._shape))

    def add_pasted(self, window: Window, pasted: Pasted) -> None:
        """Add one window's values, already on native pixels."""
        weight = np.outer(
            _hann(pasted.rows, window.top, window.height),
            _hann(pasted.columns, window.left, window.width),
        )
        self._sum[pasted.rows, pasted.columns] += weight * pasted.values
        self._weight[pasted.rows, pasted.columns] += weight

    @property
    def covered(self) -> NDArray[np.bool_]:
        """`(H, W)` bool: the pixels that any window covers."""
        return self._weight > 0

    def result(self) -> Values:
        """Return the blended values `(H, W)` float32; 0 where no window covers a pixel."""
        return np.divide(
            self._sum, self._weight, out=np.zeros_like(self._sum), where=self._weight > 0
        )


def full_window(field: FieldOfView, size: int, *, margin: float = 0.02) -> Window:
    """Create the window of the whole field of view, `1 + margin` times its extent wide.

    It is the window of the circle, not of its visible part, so that a cropped circle has the same
    scale.
    """
    return Window.around(field.center, field.extent * (1 + margin), size)


def zoom_window(
    center: tuple[float, float], field: FieldOfView, size: int, *, share: float
) -> Window:
    """Create a window around `center` (x, y) whose side is `share` of the field's diameter."""
    return Window.around(center, field.diameter * share, size)


def tile_side(field: FieldOfView, size: int, *, field_size: float) -> float:
    """Return the side of a tile in native pixels if the field's diameter becomes `field_size`."""
    return size * field.diameter / field_size


def tile_windows(
    field: FieldOfView, size: int, *, field_size: float, overlap: float
) -> list[Window]:
    """Cover the field of view with overlapping square windows.

    Parameters
    ----------
    field
        The field of view; its diameter sets the scale.
    size
        Side of the network's input in pixels.
    field_size
        Diameter that the field is scaled to, in network pixels.
    overlap
        Smallest share of a window's side by which neighbors overlap, in 0…1 (1 excluded); at least
        two native pixels.

    Returns
    -------
    Windows row by row, evenly spaced over the visible field, without those outside it. A single
    centered window if the field is no larger than a tile.

    Raises
    ------
    GeometryError
        If `overlap` is outside 0…1, `field_size` is not positive, or the field is empty.
    """
    side = tile_side(field, size, field_size=field_size) if field_size > 0 else 0.0
    if not 0 <= overlap < 1 or side < 4:
        raise GeometryError(
            f"An overlap of {overlap} and a field of {field_size} network pixels give no usable "
            f"tiles: the overlap must be in 0…1, and a tile at least 4 native pixels wide."
        )
    rows, columns = (np.flatnonzero(field.mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise GeometryError("The field of view is empty.")
    windows = (
        Window(left, top, side, side, size)
        for top in _starts(rows[0], rows[-1] + 1, side, overlap)
        for left in _starts(columns[0], columns[-1] + 1, side, overlap)
    )
    return [window for window in windows if _touches(window, field.mask)]


def _starts(low: int, high: int, side: float, overlap: float) -> list[float]:
    """Return the starts of evenly spaced windows of `side` that cover low…high."""
    beyond = high - low - side
    if beyond <= 0:
        return [(low + high - side) / 2]
    count = math.ceil(beyond / min(side * (1 - overlap), side - 2)) + 1
    return [low + beyond * i / (count - 1) for i in range(count)]


def _touches(window: Window, mask: NDArray[np.bool_]) -> bool:
    top, bottom = _inside(window.top, window.height, mask.shape[0])
    left, right = _inside(window.left, window.width, mask.shape[1])
    return bool(mask[top:bottom, left:right].any())


def _inside(start: float, length: float, limit: int) -> tuple[int, int]:
    """Return the range of pixels that are wholly within start…start + length and 0…limit."""
    rounding = 1e-6
    first = max(0, math.ceil(start - rounding))
    return first, min(limit, math.floor(start + length + rounding))


def _between(
    pixels: slice, start: float, length: float, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """Return the two of `count` values that each pixel's center is between, and the weight."""
    position = (np.arange(pixels.start, pixels.stop) + 0.5 - start) / length * count - 0.5
    position = position.clip(0, count - 1)
    low = position.astype(np.int64)
    return low, np.minimum(low + 1, count - 1), (position - low).astype(np.float32)


def _hann(pixels: slice, start: float, length: float) -> Values:
    position = (np.arange(pixels.start, pixels.stop) + 0.5 - start) / length
    return (np.sin(np.pi * position) ** 2).astype(np.float32)
