"""Where the network looks: square windows of the native image, tile grids, and the way back.

A `Window` is the one map between native pixels and network pixels. Points have their pixel centres
at integers on both sides; windows are given by their edges, so that pixel 0 covers 0…1.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import FieldOfView

Points = NDArray[np.float64]
Values = NDArray[np.float32]


@dataclass(frozen=True)
class Window:
    """A window of the native image, shown at the network's square input.

    Attributes
    ----------
    left, top
        Corner of the window, in native pixels from the image's corner; the window may reach beyond
        the image, where it is black.
    width, height
        Its sides in native pixels. Equal sides keep the aspect; `Window.squash` does not.
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
    def squash(cls, shape: tuple[int, int], size: int) -> "Window":
        """Show the whole image of `shape` (H, W) without keeping its aspect, as SAM 2 does."""
        return cls(0, 0, shape[1], shape[0], size)

    @classmethod
    def around(cls, center: tuple[float, float], side: float, size: int) -> "Window":
        """Show the square of `side` native pixels around `center` (x, y)."""
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
        left, top = math.floor(self.left), math.floor(self.top)
        right, bottom = math.ceil(self.left + self.width), math.ceil(self.top + self.height)
        rows, columns = (
            _shown(start, end, side)
            for start, end, side in zip((top, left), (bottom, right), image.shape[:2], strict=True)
        )
        corner = (columns.start, rows.start)
        # Only what is shown is copied; beyond the image `crop` is black.
        window = Image.fromarray(image[rows, columns]).crop(
            (left - corner[0], top - corner[1], right - corner[0], bottom - corner[1])
        )
        x, y = self.left - left, self.top - top
        box = (x, y, x + self.width, y + self.height)
        cut = window.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box)
        return np.asarray(cut)

    def cut_mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Cut the window out of a mask `(H, W)`; a pixel covered by at least half is True."""
        return self.cut(mask.astype(np.uint8) * np.uint8(255)) >= 128

    def paste(self, values: Values, shape: tuple[int, int]) -> "Pasted":
        """Resample values over the window back to the native pixels that lie wholly inside it.

        Bilinear between the values' centers, as SAM 2 enlarges its masks.

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
            raise GeometryError(f"The window {self} lies outside an image of shape {shape}.")
        import torch  # what has values to paste has loaded it; other users of windows have not

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
    """Values on the native pixels of a window: `image[rows, columns]` is where they belong."""

    rows: slice
    columns: slice
    values: Values


class Blend:
    """Put overlapping windows together, each weighted by a Hann window.

    The weight of a native pixel in a window is sin²(πu)·sin²(πv), where (u, v) in 0…1 is its place
    in the window, so answers fade out where a window has no context. Weights are normalised: where
    one window alone covers a pixel, its value is kept.
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
        """`(H, W)`: where any window reached."""
        return self._weight > 0

    def result(self) -> Values:
        """Give the blended values `(H, W)` float32; 0 where no window reached."""
        return np.divide(
            self._sum, self._weight, out=np.zeros_like(self._sum), where=self._weight > 0
        )


def full_window(field: FieldOfView, size: int, *, margin: float = 0.02) -> Window:
    """Show the whole field of view, its circle `1 + margin` times as wide as the window's inside.

    The window is the circle's, not the visible part's, so that the scale is the same for an image
    whose circle is cut.
    """
    return Window.around(field.center, field.diameter * (1 + margin), size)


def zoom_window(
    center: tuple[float, float], field: FieldOfView, size: int, *, share: float
) -> Window:
    """Show a square around `center` (x, y) whose side is `share` of the field's diameter."""
    return Window.around(center, field.diameter * share, size)


def tile_side(field: FieldOfView, size: int, *, field_size: float) -> float:
    """Give the side of a tile in native pixels, if the field's diameter becomes `field_size`."""
    return size * field.diameter / field_size


def tile_windows(
    field: FieldOfView, size: int, *, field_size: float, overlap: float
) -> list[Window]:
    """Cover the field of view with overlapping square windows; those outside it are left out.

    Parameters
    ----------
    field
        The field of view; its diameter sets the scale.
    size
        Side of the network's input in pixels.
    field_size
        Diameter that the field is scaled to, in network pixels.
    overlap
        Least share of a window's side that neighbours have in common, in 0…1 (excluded); at least
        two native pixels.

    Returns
    -------
    Windows row by row, evenly spaced over the visible field. One window, centred, where the field
    is no larger.

    Raises
    ------
    GeometryError
        If `overlap` is outside 0…1, `field_size` is not positive, or the field is empty.
    """
    side = tile_side(field, size, field_size=field_size) if field_size > 0 else 0.0
    if not 0 <= overlap < 1 or side < 4:
        raise GeometryError(
            f"An overlap of {overlap} and a field of {field_size} network pixels give no usable "
            f"tiles: the overlap is in 0…1, and a tile is at least 4 native pixels wide."
        )
    rows, columns = (np.flatnonzero(field.mask.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        raise GeometryError("The field of view is empty, so there is nothing to cover.")
    frames = (
        Window(left, top, side, side, size)
        for top in _starts(rows[0], rows[-1] + 1, side, overlap)
        for left in _starts(columns[0], columns[-1] + 1, side, overlap)
    )
    return [window for window in frames if _touches(window, field.mask)]


def _starts(low: int, high: int, side: float, overlap: float) -> list[float]:
    """Give where windows of `side` start so that they cover low…high evenly."""
    beyond = high - low - side
    if beyond <= 0:
        return [(low + high - side) / 2]
    count = math.ceil(beyond / min(side * (1 - overlap), side - 2)) + 1
    return [low + beyond * i / (count - 1) for i in range(count)]


def _touches(window: Window, mask: NDArray[np.bool_]) -> bool:
    top, bottom = _inside(window.top, window.height, mask.shape[0])
    left, right = _inside(window.left, window.width, mask.shape[1])
    return bool(mask[top:bottom, left:right].any())


def _shown(start: int, end: int, limit: int) -> slice:
    """Give the pixels of start…end within 0…limit; one pixel at least, for an image to exist."""
    first = min(max(start, 0), limit - 1)
    return slice(first, max(min(end, limit), first + 1))


def _inside(start: float, length: float, limit: int) -> tuple[int, int]:
    """Give the range of pixels that lie wholly within start…start + length and 0…limit."""
    rounding = 1e-6
    first = max(0, math.ceil(start - rounding))
    return first, min(limit, math.floor(start + length + rounding))


def _between(
    pixels: slice, start: float, length: float, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Values]:
    """Say between which two of `count` values over a window each pixel's center lies, and where."""
    place = (np.arange(pixels.start, pixels.stop) + 0.5 - start) / length * count - 0.5
    place = place.clip(0, count - 1)
    low = place.astype(np.int64)
    return low, np.minimum(low + 1, count - 1), (place - low).astype(np.float32)


def _hann(pixels: slice, start: float, length: float) -> Values:
    place = (np.arange(pixels.start, pixels.stop) + 0.5 - start) / length
    return (np.sin(np.pi * place) ** 2).astype(np.float32)
