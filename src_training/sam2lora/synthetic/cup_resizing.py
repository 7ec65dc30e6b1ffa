"""Give a real disc another cup: most data sets for the cup are of glaucoma, and small cups are few.

Within the disc, what lies along each ray from the cup's middle is drawn in or out, so that the
cup's border moves while the disc's stays where it is. Vessels, colors and the camera's faults
remain real.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.errors import GeometryError
from sam2lora.types import Mask

Pixels = NDArray[np.uint8]
Profile = NDArray[np.float64]

_RAYS = 360
_STEP = 0.5  # pixels along a ray
_SMOOTH = 4  # rays: standard deviation, so that a mask's single pixels do not show
_RIM = 0.95  # share of the way to the disc's border that a cup may take at most


def resize_cup(pixels: Pixels, disc: Mask, cup: Mask, factor: float) -> tuple[Pixels, Mask]:
    """Scale the cup about its middle, the rim around it giving way.

    On a ray where the cup's border lies at the share c of the way from the cup's middle to the
    disc's border, it comes to lie at min(factor c, 0.95); c counts as 0.95 where it is more. What
    was between two borders is stretched evenly between their new places; outside of the disc
    nothing changes. Borders are followed by rays, a degree apart, and slightly smoothed.

    Parameters
    ----------
    pixels
        `(H, W, 3)` uint8.
    disc, cup
        `(H, W)` bool, the middle of the cup within both; what a ray from there meets after it has
        left a mask does not count.
    factor
        The cup's new height and width as a share of the old, above 0; below 1 it shrinks.

    Returns
    -------
    The picture, and the mask of its cup, within the disc, of the same shapes.

    Raises
    ------
    GeometryError
        If the shapes differ, the factor is not above 0, or the cup's middle is not in cup and disc.
    """
    if pixels.ndim != 3 or not disc.shape == cup.shape == pixels.shape[:2]:
        raise GeometryError(
            f"The image has shape {pixels.shape}, the disc's mask {disc.shape} and the cup's "
            f"{cup.shape}; all must belong to one image, (H, W, 3) and twice (H, W)."
        )
    if not factor > 0:
        raise GeometryError(f"The factor of the cup's size has to be above 0; it is {factor}.")
    middle = _middle(disc, cup)
    window = ndimage.find_objects(disc.astype(np.uint8))[0]
    farthest = float(np.hypot(*disc[window].shape))
    outer = _border(disc, middle, farthest)
    edge = np.minimum(_border(cup, middle, farthest) / outer, _RIM)

    rows, columns = np.mgrid[window]
    y, x = rows - middle[0], columns - middle[1]
    turn = np.arctan2(y, x) / (2 * np.pi) * _RAYS
    place = np.hypot(y, x) / _at(turn, outer)
    old = _at(turn, edge)
    new = np.minimum(factor * old, _RIM)
    inner = (place < new) & disc[window]
    inside = (place > 0) & (place < 1) & disc[window]
    source = np.where(inner, place * old / new, old + (place - new) * (1 - old) / (1 - new))
    pull = np.divide(source, place, out=np.ones_like(place), where=inside)
    there = (middle[0] + y * pull, middle[1] + x * pull)

    picture, mask = pixels.copy(), np.zeros_like(cup)
    for channel in range(pixels.shape[2]):
        moved = ndimage.map_coordinates(pixels[..., channel], there, order=1, mode="nearest")
        picture[*window, channel] = np.where(inside, moved, picture[*window, channel])
    mask[window] = inner
    return picture, mask


def _middle(disc: Mask, cup: Mask) -> tuple[float, float]:
    """Give the middle of the cup, row and column."""
    if not cup.any():
        raise GeometryError("The mask of the cup is empty, so there is no cup to resize.")
    middle: tuple[float, float] = ndimage.center_of_mass(cup)
    if not (disc & cup)[round(middle[0]), round(middle[1])]:
        raise GeometryError(
            "The middle of the cup has to lie within cup and disc, and does not. Check both masks."
        )
    return middle


def _border(mask: Mask, middle: tuple[float, float], farthest: float) -> Profile:
    """Give how far each ray is within the mask, `(360,)`, in pixels; the first points right."""
    turn = np.arange(_RAYS)[:, None] * (2 * np.pi / _RAYS)
    reach = np.arange(0, farthest, _STEP)
    rays = (middle[0] + np.sin(turn) * reach, middle[1] + np.cos(turn) * reach)
    inside = ndimage.map_coordinates(mask.astype(np.uint8), rays, order=0)
    until_out = np.logical_and.accumulate(inside, axis=1).sum(axis=1)
    lengths = _STEP * (np.maximum(until_out, 1) - 0.5)
    smooth: Profile = ndimage.gaussian_filter1d(lengths, _SMOOTH, mode="wrap")
    return smooth


def _at(turn: Profile, profile: Profile) -> Profile:
    """Interpolate between rays: `turn` is counted in them."""
    return np.interp(turn, np.arange(_RAYS), profile, period=_RAYS)
