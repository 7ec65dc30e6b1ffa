"""Degrade a fundus image as bad photographs are, so that the disc is hard to find, or is not there.

What is degraded is random; the masks of disc and cup go with the image.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.images.field_of_view import FieldOfView, find_field_of_view
from sam2lora.training.narrow_field import circle_around
from sam2lora.transforms.zoom import BoundingBox
from sam2lora.types import Mask, Pixels

Random = np.random.Generator

_WIDEST = 1400  # pixels: larger images are reduced, which no degraded one would show
_TRIES = 20


@dataclass(frozen=True, eq=False)
class Labelled:
    """An image with its field of view, and the masks `(H, W)` of its disc and its cup."""

    pixels: Pixels
    field: FieldOfView
    disc: Mask
    cup: Mask | None

    def with_pixels(self, values: NDArray[np.float32]) -> "Labelled":
        """Return it with other values in the field of view."""
        pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        pixels[~self.field.mask] = self.pixels[~self.field.mask]
        return replace(self, pixels=pixels)

    def mirrored(self) -> "Labelled":
        """Return it left to right."""
        field, width = self.field, self.pixels.shape[1]
        center = (width - 1 - field.center[0], field.center[1])
        turned = [
            None if array is None else np.ascontiguousarray(array[:, ::-1])
            for array in (self.pixels, field.mask, self.disc, self.cup)
        ]
        return Labelled(turned[0], replace(field, mask=turned[1], center=center), *turned[2:])


def reduced(image: Labelled) -> Labelled:
    """Return an image at a whole fraction of its size, at most `_WIDEST` pixels wide."""
    step = -(-image.pixels.shape[1] // _WIDEST)
    if step == 1:
        return image
    height, width = (side // step * step for side in image.disc.shape)
    blocks = image.pixels[:height, :width].reshape(height // step, step, width // step, step, 3)
    pixels = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    cup = None if image.cup is None else image.cup[:height:step, :width:step]
    return Labelled(pixels, find_field_of_view(pixels), image.disc[:height:step, :width:step], cup)


def blur(image: Labelled, rng: Random) -> Labelled:
    """Return an image out of focus."""
    width = image.field.diameter * np.exp(rng.uniform(np.log(0.004), np.log(0.03)))
    planes = np.moveaxis(image.pixels.astype(np.float32), -1, 0)
    blurred = [ndimage.gaussian_filter(plane, width, truncate=3) for plane in planes]
    return image.with_pixels(np.stack(blurred, axis=-1))


def darken(image: Labelled, rng: Random) -> Labelled:
    """Return an image with too little light, less on one side, and noise."""
    gain, angle = np.exp(rng.uniform(np.log(0.06), np.log(0.4))), rng.uniform(0, 2 * np.pi)
    right, down = _from(image.field.center, image.disc.shape)
    across = 0.5 + (right * np.cos(angle) + down * np.sin(angle)) / image.field.diameter
    light = gain * (1 - rng.uniform(0, 0.9) * np.clip(across, 0, 1))
    noise = rng.normal(0, rng.uniform(0, 6), image.pixels.shape)
    return image.with_pixels(image.pixels * light[..., None] + noise)


def narrow(image: Labelled, rng: Random) -> Labelled | None:
    """Return a narrower field with the disc anywhere, maybe cut off; None if there is none."""
    extent = BoundingBox.of(image.disc)
    if extent is None:
        return None
    for _ in range(_TRIES):
        diameter = extent.side / np.exp(rng.uniform(np.log(0.2), np.log(0.7)))
        if diameter > 0.85 * image.field.diameter:
            continue
        reach = diameter / 2 + extent.side * rng.uniform(-0.5, 0.15)
        angle, distance = rng.uniform(0, 2 * np.pi), reach * np.sqrt(rng.random())
        center = _beside(extent.center, angle, distance)
        field = circle_around(center, diameter, image.disc.shape)
        if field is None or field.cut(image.disc).sum() < 0.35 * image.disc.sum():
            continue
        cup = None if image.cup is None else field.cut(image.cup)
        return Labelled(
            field.cut(image.pixels), field.field(image.field), field.cut(image.disc), cup
        )
    return None


def glare(image: Labelled, rng: Random) -> Labelled | None:
    """Return an image with one to three bright spots on the disc or near it."""
    extent = BoundingBox.of(image.disc)
    if extent is None:
        return None
    values = image.pixels.astype(np.float32)
    for _ in range(rng.integers(1, 4)):
        angle, distance = rng.uniform(0, 2 * np.pi), extent.side * rng.uniform(0, 2.2)
        center = _beside(extent.center, angle, distance)
        size = extent.side * rng.uniform(0.3, 1.1) / 2
        right, down = _from(center, image.disc.shape)
        spot = rng.uniform(100, 300) * np.exp(-(right**2 + down**2) / (2 * size**2))
        values += spot[..., None] * (1, rng.uniform(0.7, 1), rng.uniform(0.3, 1))
    return image.with_pixels(values)


def hide(image: Labelled, rng: Random) -> Labelled | None:
    """Return an image with a spot over the disc: black, dark, or as the retina around it."""
    extent = BoundingBox.of(image.disc)
    if extent is None:
        return None
    size = extent.side / 2 * rng.uniform(0.5, 1.5)
    distance, angle = extent.side * rng.uniform(0, 0.8), rng.uniform(0, 2 * np.pi)
    center = _beside(extent.center, angle, distance)
    edge = extent.side * rng.uniform(0.01, 0.1)
    cover = 1 / (
        1 + np.exp(np.clip((np.hypot(*_from(center, image.disc.shape)) - size) / edge, -50, 50))
    )
    beside = np.hypot(*_from(extent.center, image.disc.shape)) < 1.3 * extent.side
    beside &= image.field.mask & ~image.disc
    color = np.median(image.pixels[beside], axis=0) if beside.any() else np.zeros(3)
    color = color * rng.choice([0, 0.5, 1.0])
    return image.with_pixels(image.pixels * (1 - cover[..., None]) + color * cover[..., None])


KINDS: Mapping[str, Callable[[Labelled, Random], Labelled | None]] = MappingProxyType(
    {"blur": blur, "dark": darken, "narrow": narrow, "glare": glare, "black": hide}
)
"""How an image is degraded, by name."""


def degraded(image: Labelled, kind: str, rng: Random) -> Labelled | None:
    """Return a degraded copy, half of the time mirrored; None if there is none of this kind."""
    copy = KINDS[kind](reduced(image), rng)
    return copy.mirrored() if copy is not None and rng.random() < 0.5 else copy


def _from(center: tuple[float, float], shape: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    """Return how far each pixel is to the right of a point (x, y), and below it."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (columns - center[0]).astype(np.float32), (rows - center[1]).astype(np.float32)


def _beside(center: tuple[float, float], angle: float, distance: float) -> tuple[float, float]:
    """Return the point (x, y) at a distance of another."""
    return center[0] + distance * np.cos(angle), center[1] + distance * np.sin(angle)
