"""An image prepared for prediction, and the windows that the network sees of it."""

import hashlib
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.errors import ImageError
from sam2lora.images.field_of_view import FieldOfView, find_field_of_view
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.windows import Values, Window, full_window, tile_windows
from sam2lora.transforms.zoom import BoundingBox
from sam2lora.types import Mask

MIN_SIDE = 16
"""Smallest width and height of an image that is segmented, in pixels."""


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """One image prepared for prediction.

    Attributes
    ----------
    pixels
        `(H, W, 3)` uint8 RGB.
    field
        Its field of view, which sets the scale and outside of which nothing is predicted.
    key
        Hash of both; a part of the keys under which embeddings and predictions are cached.
    """

    pixels: NDArray[np.uint8]
    field: FieldOfView
    key: str

    @classmethod
    def of(cls, pixels: NDArray[np.uint8], *, field: FieldOfView | None = None) -> Self:
        """Prepare an image `(H, W, 3)` uint8; its field of view is found unless it is given.

        Raises
        ------
        ImageError
            If the image is smaller than `MIN_SIDE`.
        """
        height, width = pixels.shape[:2]
        if min(height, width) < MIN_SIDE:
            raise ImageError(
                f"The image is {width} × {height} pixels; to be segmented it needs at least "
                f"{MIN_SIDE} × {MIN_SIDE}. Use the photograph itself, not an icon of it."
            )
        digest = hashlib.sha256(np.ascontiguousarray(pixels).data)
        digest.update(str(pixels.shape).encode())
        field = field or find_field_of_view(pixels)
        digest.update(np.packbits(field.mask).tobytes())
        digest.update(repr((field.center, field.diameter)).encode())
        return cls(pixels, field, digest.hexdigest())

    @property
    def shape(self) -> tuple[int, int]:
        """`(H, W)` in native pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


def windows_of(prepared: PreparedImage, geometry: GeometrySettings, size: int) -> list[Window]:
    """Return the windows of an unprompted prediction: the tiles, the field, or the image.

    Parameters
    ----------
    prepared, geometry
        The image, and the input mode with its parameters.
    size
        Side of the network's input in pixels.
    """
    if geometry.detail == "tiles":
        return tile_windows(
            prepared.field, size, field_size=geometry.field_size, overlap=geometry.overlap
        )
    if geometry.detail == "squash":
        return [Window.stretched(prepared.shape, size)]
    return [full_window(prepared.field, size, margin=geometry.margin)]


def extent_of(
    prepared: PreparedImage, window: Window, logits: Values, prompts: Prompts
) -> BoundingBox:
    """Return the native extent of what was found in a window, and of all prompts on the target.

    Of a prediction in several parts the largest counts; of an empty one, the pixel with the highest
    logit. A box prompt replaces the prediction.

    Parameters
    ----------
    prepared
        The image; nothing outside its field of view counts.
    window, logits
        The window, and its logits `(n, n)`.
    prompts
        The prompts of the target.
    """
    if prompts.box:
        x0, y0, x1, y1 = prompts.box
        corners = np.array([(x0, y0), (x1, y1)])
    else:
        coarse = replace(window, size=len(logits))
        inside = np.where(pixels_inside(prepared.field.mask, coarse), logits, -np.inf)
        parts, count = ndimage.label(inside > 0)
        if count:
            largest = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
        else:
            largest = inside == inside.max()
        rows, columns = np.nonzero(largest)
        ends = np.array([(columns.min(), rows.min()), (columns.max(), rows.max())], dtype=float)
        corners = coarse.to_native(ends)
    positive = [(point.x, point.y) for point in prompts.by_label()[0]]
    points = np.concatenate([corners, np.array(positive).reshape(-1, 2)])
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    return BoundingBox(float(x0), float(y0), float(x1), float(y1))


def pixels_inside(field: Mask, window: Window) -> Mask:
    """Return `(n, n)` bool: the pixels of a window whose center is in the field of view."""
    ticks = np.arange(window.size, dtype=np.float64)
    points = np.stack(np.meshgrid(ticks, ticks), axis=-1)  # (n, n, 2), x and y
    columns, rows = np.moveaxis(np.rint(window.to_native(points)).astype(int), -1, 0)
    height, width = field.shape
    in_image = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    inside: Mask = in_image & field[rows.clip(0, height - 1), columns.clip(0, width - 1)]
    return inside
