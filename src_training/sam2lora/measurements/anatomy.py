"""The landmarks that measurements refer to: the disc, the eye's side, the scale."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from skimage import measure as regions

from sam2lora.types import Eye, Mask, Spacing

Point = tuple[float, float]
"""(x, y) in native pixels."""

DISC_FOVEA_MM = 4.76
"""Distance of the centres of disc and fovea in the mean eye, in millimetres: 4.76 ± 0.34, Jonas et
al., PLoS ONE 10:e0138701, 2015."""


STEEPEST = 30.0
"""Angle of the line from disc to fovea to the horizontal, in degrees, beyond which an image is
taken to be turned: among 6043 eyes none had more than 28.9 (Jonas et al., PLoS ONE 10:e0141771,
2015)."""


@dataclass(frozen=True)
class Disc:
    """The disc as a circle.

    Attributes
    ----------
    center
        Centroid of its largest connected part, (x, y) in native pixels.
    diameter
        Diameter of a circle of its area, in native pixels.
    """

    center: Point
    diameter: float


@dataclass(frozen=True)
class Scale:
    """Size of a pixel.

    Attributes
    ----------
    mm_per_px
        Millimetres per pixel; the geometric mean of both directions.
    source
        "file", or "disc-fovea distance" for the convention that this is `DISC_FOVEA_MM`.
    """

    mm_per_px: float
    source: Literal["file", "disc-fovea distance"]


def largest_part(mask: Mask) -> Mask:
    """Return the largest connected part of a mask, `(H, W)` bool; nothing of an empty one."""
    if not mask.any():
        return mask
    labels = regions.label(mask)
    largest: Mask = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    return largest


def disc_of(mask: Mask) -> Disc | None:
    """Return the disc of a mask `(H, W)` bool as a circle; None if the mask is empty."""
    rows, columns = np.nonzero(largest_part(mask))
    if not len(rows):
        return None
    diameter = 2 * math.sqrt(len(rows) / math.pi)
    return Disc((float(columns.mean()), float(rows.mean())), diameter)


def disc_fovea_angle(disc: Point, fovea: Point) -> float:
    """Return the angle of the line from disc to fovea to the horizontal, -90…90 degrees.

    It is positive where the fovea is lower in the image, as in most eyes.
    """
    return math.degrees(math.atan2(fovea[1] - disc[1], abs(fovea[0] - disc[0])))


def is_turned(disc: Point, fovea: Point) -> bool:
    """Check whether the line from disc to fovea is steeper than in any upright image."""
    return abs(disc_fovea_angle(disc, fovea)) > STEEPEST


def side_of(disc: Point, fovea: Point) -> Eye | None:
    """Return the side of an eye: the fovea is temporal of the disc, left of it in a right eye.

    None if the image is turned.
    """
    if is_turned(disc, fovea):
        return None
    return "right" if fovea[0] < disc[0] else "left"


def scale_of(spacing: Spacing | None, disc: Point | None, fovea: Point | None) -> Scale | None:
    """Return the size of a pixel; None where neither the file nor disc and fovea tell it.

    Parameters
    ----------
    spacing
        Millimetres per pixel (row, column) of the file.
    disc, fovea
        Centres, (x, y) in native pixels.
    """
    if spacing is not None:
        return Scale(math.sqrt(spacing[0] * spacing[1]), "file")
    if disc is None or fovea is None or disc == fovea:
        return None
    return Scale(DISC_FOVEA_MM / math.dist(disc, fovea), "disc-fovea distance")
