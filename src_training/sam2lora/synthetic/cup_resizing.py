"""Resize the cup of a real disc: cup datasets are mostly of glaucoma and have few small cups.

Within the disc, the image is stretched along each ray from the cup's center, so that the border of
the cup moves and that of the disc does not. Vessels, colors and camera artifacts remain real.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.errors import GeometryError
from sam2lora.types import Mask, Pixels

Profile = NDArray[np.float64]

_RAYS = 360
_STEP = 0.5  # pixels along a ray
_SMOOTH = 4  # rays: standard deviation, so that single pixels of a mask have no effect
_RIM = 0.95  # largest cup-to-disc ratio along a ray


def resize_cup(pixels: Pixels, disc: Mask, cup: Mask, factor: float) -> tuple[Pixels, Mask]:
    """Scale the cup about its center, and stretch the rim around it.

    If the cup's border is at the share c of a ray from the cup's center to the disc's border, it
    moves to min(factor c, 0.95); c is limited to 0.95. The image between two borders is stretched
    evenly between their new positions; outside of the disc nothing changes. Borders are sampled by
    rays, one degree apart, and slightly smoothed.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8.
    disc, cup
        `(H, W)` bool; the center of the cup must be inside both. Parts of a mask that a ray meets
        after leaving it are ignored.
    factor
        The cup's new height and width relative to the old, above 0; below 1 the cup shrinks.

    Returns
    -------
    The image, and the mask of its cup within the disc, in the same shapes.

    Raises
    ------
    GeometryError
        If the shapes differ, the factor is not above 0, or the cup's center is not in cup and disc.
    """
    if pixels.ndim != 3 or not disc.shape == cup.shape == pixels.shape[:2]:
        raise GeometryError(
            f"The image has shape {pixels.shape}, the mask of the disc {disc.shape} and that of "
            f"the cup {cup.shape}; they must belong to one image, (H, W, 3) and (H, W)."
        )
    if not factor > 0:
        raise GeometryError(f"The factor of the cup's size must be above 0, not {factor}.")
    center = _center(disc, cup)
    window = ndimage.find_objects(disc.astype(np.uint8))[0]
    farthest = float(np.hypot(*disc[window].shape))
    outer = _border(disc, center, farthest)
    edge = np.minimum(_border(cup, center, farthest) / outer, _RIM)

    rows, columns = np.mgrid[window]
    y, x = rows - center[0], columns - center[1]
    ray = np.arctan2(y, x) / (2 * np.pi) * _RAYS
    position = np.hypot(y, x) / _at(ray, outer)
    old = _at(ray, edge)
    new = np.minimum(factor * old, _RIM)
    inner = (position < new) & disc[window]
    inside = (position > 0) & (position < 1) & disc[window]
    source = np.where(inner, position * old / new, old + (position - new) * (1 - old) / (1 - new))
    stretch = np.divide(source, position, out=np.ones_like(position), where=inside)
    sources = (center[0] + y * stretch, center[1] + x * stretch)

    resized, mask = pixels.copy(), np.zeros_like(cup)
    for channel in range(pixels.shape[2]):
        moved = ndimage.map_coordinates(pixels[..., channel], sources, order=1, mode="nearest")
        resized[*window, channel] = np.where(inside, moved, resized[*window, channel])
    mask[window] = inner
    return resized, mask


def _center(disc: Mask, cup: Mask) -> tuple[float, float]:
    """Return the center of the cup (row, column)."""
    if not cup.any():
        raise GeometryError("The mask of the cup is empty: there is no cup to resize.")
    center: tuple[float, float] = ndimage.center_of_mass(cup)
    if not (disc & cup)[round(center[0]), round(center[1])]:
        raise GeometryError("The center of the cup must be within cup and disc. Check both masks.")
    return center


def _border(mask: Mask, center: tuple[float, float], farthest: float) -> Profile:
    """Return the length of each ray inside the mask, `(360,)` in pixels; the first points right."""
    angle = np.arange(_RAYS)[:, None] * (2 * np.pi / _RAYS)
    reach = np.arange(0, farthest, _STEP)
    rays = (center[0] + np.sin(angle) * reach, center[1] + np.cos(angle) * reach)
    inside = ndimage.map_coordinates(mask.astype(np.uint8), rays, order=0)
    until_out = np.logical_and.accumulate(inside, axis=1).sum(axis=1)
    lengths = _STEP * (np.maximum(until_out, 1) - 0.5)
    smooth: Profile = ndimage.gaussian_filter1d(lengths, _SMOOTH, mode="wrap")
    return smooth


def _at(ray: Profile, profile: Profile) -> Profile:
    """Interpolate a profile between rays at fractional ray numbers."""
    return np.interp(ray, np.arange(_RAYS), profile, period=_RAYS)
