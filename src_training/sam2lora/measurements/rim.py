"""The neuroretinal rim between cup and disc: its width around the disc, and what that shows.

Directions are those of a right eye as its image shows it, so that they mean the same in both eyes:
a left eye is mirrored. Clock hour 12 is superior, 3 nasal, 6 inferior and 9 temporal.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.transform import warp_polar

from sam2lora.measurements.anatomy import Point, largest_part
from sam2lora.types import Eye, Mask

Sector = Literal["inferior", "superior", "nasal", "temporal"]

SECTORS: Mapping[Sector, int] = {"inferior": 90, "superior": 270, "nasal": 0, "temporal": 180}
"""Middle of each quarter in a right eye, in degrees: 0 is right in the image, 90 down."""

HOURS = tuple(range(1, 13))

_RAYS = 360
_STEPS = 8  # samples a pixel along a ray
_SMOOTH = 11  # degrees over which the narrowest width is a mean, so that no single pixel decides
_ABSENT = 0.5  # pixels; there is no rim where it is narrower
_STAGES = (0.4, 0.3, 0.2, 0.1)  # least rim-to-disc ratio of stages 1 to 4
_EXTENTS = (45, 90, 180, 270)  # most degrees without rim of stages 6 to 9


@dataclass(frozen=True)
class RaySpan:
    """Neighbouring rays of a rim profile.

    Attributes
    ----------
    middle
        Direction of the middle ray in the image, in degrees: 0 is right, 90 down.
    reach
        Degrees to the ray at either end.
    """

    middle: int
    reach: int

    @property
    def rays(self) -> NDArray[np.int64]:
        """Directions of the rays from end to end, in whole degrees."""
        return np.arange(self.middle - self.reach, self.middle + self.reach + 1)

    def mean(self, values: NDArray[np.float64]) -> float:
        """Return the mean of `(360,)` values; a ray at an end counts half, for the next span."""
        weight = np.ones(2 * self.reach + 1)
        weight[[0, -1]] = 0.5
        return float(np.average(values[self.rays % _RAYS], weights=weight))


@dataclass(frozen=True, eq=False)
class RimProfile:
    """Radii of disc and cup around the disc's centroid, one a degree.

    Attributes
    ----------
    center
        Centroid of the disc, (x, y) in native pixels.
    disc
        `(360,)` pixels from the center to the outer border of the disc; the first is to the right
        in the image, the next are clockwise.
    cup
        The same for the cup; 0 where there is none.
    """

    center: Point
    disc: NDArray[np.float64]
    cup: NDArray[np.float64]

    @property
    def width(self) -> NDArray[np.float64]:
        """Width of the rim, `(360,)` pixels: the whole radius where there is no cup."""
        return self.disc - self.cup


def rim_profile(disc: Mask, cup: Mask) -> RimProfile | None:
    """Measure the radii of disc and cup along 360 rays from the disc's centroid.

    Parameters
    ----------
    disc, cup
        `(H, W)` bool. The largest part of the disc counts, and of the cup what is inside it.

    Returns
    -------
    The profile; None without a disc.
    """
    disc = largest_part(disc)
    if not disc.any():
        return None
    rows, columns = (np.flatnonzero(disc.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    box = np.s_[top : int(rows[-1]) + 1, left : int(columns[-1]) + 1]
    inner, within = np.pad(disc[box], 1), np.pad((disc & cup)[box], 1)
    at = ndimage.center_of_mass(inner)
    radii = (_radii(mask, at) for mask in (inner, within))
    return RimProfile((float(at[1]) + left - 1, float(at[0]) + top - 1), *radii)


def _radii(mask: Mask, center: tuple[float, float]) -> NDArray[np.float64]:
    """Return the distance from the center (row, column) to the outermost border on each ray."""
    reach = int(np.hypot(*mask.shape)) + 1
    samples = warp_polar(
        mask.astype(np.float64),
        center=center,
        radius=reach,
        output_shape=(_RAYS, reach * _STEPS),
        order=1,
    )
    inside = samples >= 0.5
    last = inside.shape[1] - np.argmax(inside[:, ::-1], axis=1)
    return np.where(inside.any(axis=1), (last - 0.5) / _STEPS, 0.0)


def _in_image(degree: int, eye: Eye) -> int:
    """Return a direction of a right eye as that of the image of `eye`."""
    return degree if eye == "right" else (180 - degree) % 360


def sector_span(name: Sector, eye: Eye | None) -> RaySpan | None:
    """Return the rays of a quarter; None of a nasal or temporal one if the eye is not known."""
    if eye is None and name in ("nasal", "temporal"):
        return None
    return RaySpan(_in_image(SECTORS[name], eye or "right"), 45)


def hour_span(hour: int, eye: Eye) -> RaySpan:
    """Return the rays of a clock hour."""
    return RaySpan(_in_image(30 * hour - 90, eye), 15)


def narrowest_span(profile: RimProfile) -> RaySpan:
    """Return the rays over which the narrowest width is a mean."""
    return RaySpan(narrowest(profile)[1], _SMOOTH // 2)


def sector_widths(profile: RimProfile, eye: Eye | None) -> dict[Sector, float]:
    """Return the mean rim width in each quarter, in pixels; of an unknown eye, above and below."""
    spans = {name: sector_span(name, eye) for name in SECTORS}
    return {name: span.mean(profile.width) for name, span in spans.items() if span}


def hour_widths(profile: RimProfile, eye: Eye) -> dict[int, float]:
    """Return the mean rim width in each clock hour of 30 degrees, in pixels."""
    return {hour: hour_span(hour, eye).mean(profile.width) for hour in HOURS}


def follows_isnt(widths: Mapping[Sector, float]) -> bool | None:
    """Check whether the rim narrows as inferior ≥ superior ≥ nasal ≥ temporal.

    Jonas et al., Invest Ophthalmol Vis Sci 29:1151, 1988. None if a sector is missing.
    """
    order: tuple[Sector, ...] = ("inferior", "superior", "nasal", "temporal")
    if not all(name in widths for name in order):
        return None
    values = [widths[name] for name in order]
    return values == sorted(values, reverse=True)


def narrowest(profile: RimProfile) -> tuple[float, int]:
    """Return the least rim-to-disc ratio, and where it is.

    Returns
    -------
    The width of the rim, as a mean over 11 degrees, by the diameter of the disc in that direction;
    and the direction in degrees: 0 is right in the image, 90 down.
    """
    width = ndimage.uniform_filter1d(profile.width, _SMOOTH, mode="wrap")
    ratio = width / (profile.disc + np.roll(profile.disc, _RAYS // 2))
    place = int(ratio.argmin())
    return float(ratio[place]), place


def ddls_stage(profile: RimProfile) -> int:
    """Return the stage of the Disc Damage Likelihood Scale, 1…10, for a disc of average size.

    Spaeth et al., Curr Opin Ophthalmol 13:127, 2002: by the least rim-to-disc ratio, and without
    any rim somewhere, by how many degrees are without. The correction for small and large discs is
    left to who knows the disc's size.
    """
    width = ndimage.uniform_filter1d(profile.width, _SMOOTH, mode="wrap")
    absent = int(np.count_nonzero(width < _ABSENT))
    if absent:
        return 6 + sum(absent > most for most in _EXTENTS)
    ratio, _ = narrowest(profile)
    return 1 + sum(ratio < least for least in _STAGES)


def hour_of(degree: int, eye: Eye) -> int:
    """Return the clock hour of a right eye, 1…12, of a direction in the image of `eye`."""
    turned = _in_image(degree, eye)  # mirroring is its own inverse
    return int(((turned + 90) / 30 + 0.5) % 12) or 12
