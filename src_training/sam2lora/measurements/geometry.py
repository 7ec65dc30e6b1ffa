"""What the masks of one eye are measured by: its landmarks, directions, scale and rim.

Numbers and drawings are both made of it, so that they cannot disagree.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.measurements.anatomy import (
    Disc,
    Point,
    Scale,
    disc_fovea_angle,
    disc_of,
    is_turned,
    scale_of,
    side_of,
)
from sam2lora.measurements.rim import RimProfile, rim_profile
from sam2lora.measurements.structures import check_sizes
from sam2lora.types import Eye, Mask, Spacing

_OUTSIDE = 0.02  # of the cup's area that may lie outside the disc without a warning
_SQUARE = 0.01  # by which a pixel's sides may differ without a warning


@dataclass(frozen=True, eq=False)
class EyeGeometry:
    """What the masks of one eye are measured by.

    Attributes
    ----------
    masks
        Target name to mask inside the field of view, `(H, W)` bool.
    field
        The field of view.
    spacing
        Millimetres per pixel (row, column) of the file; None where it has none.
    disc
        The disc as a circle; None without any.
    fovea
        Its center, (x, y) in native pixels; None if it is not known.
    eye
        The side of the eye, as given, or else as disc and fovea show it.
    directions
        The side by which nasal and temporal are told; None where it is not known: what is given
        contradicts what disc and fovea show, or the image is turned.
    turned
        Whether disc and fovea lie as in no upright image; no direction is known then.
    scale
        The size of a pixel by which millimetres are computed; None without any.
    rim
        Radii of disc and cup; None without a disc or a mask of the cup.
    """

    masks: Mapping[str, Mask]
    field: FieldOfView
    spacing: Spacing | None
    disc: Disc | None
    fovea: Point | None
    eye: Eye | None
    directions: Eye | None
    turned: bool
    scale: Scale | None
    rim: RimProfile | None


def eye_geometry(
    masks: Mapping[str, Mask],
    field: FieldOfView,
    *,
    spacing: Spacing | None = None,
    eye: Eye | None = None,
    fovea: Point | None = None,
) -> EyeGeometry:
    """Find what the masks of one eye are measured by.

    Parameters
    ----------
    masks, field, spacing, eye, fovea
        As for `measure_eye`.

    Raises
    ------
    GeometryError
        If a mask differs in size from the field of view.
    """
    check_sizes(masks, field)
    inside = {name: mask & field.mask for name, mask in masks.items()}
    disc = disc_of(inside["disc"]) if "disc" in inside else None
    turned = disc is not None and fovea is not None and is_turned(disc.center, fovea)
    shown = side_of(disc.center, fovea) if disc and fovea else None
    contradicts = eye is not None and shown is not None and eye != shown
    return EyeGeometry(
        masks=inside,
        field=field,
        spacing=spacing,
        disc=disc,
        fovea=fovea,
        eye=eye or shown,
        directions=None if turned or contradicts else eye or shown,
        turned=turned,
        scale=scale_of(spacing, disc.center if disc else None, fovea),
        rim=rim_profile(inside["disc"], inside["cup"]) if disc and "cup" in inside else None,
    )


def doubts(geometry: EyeGeometry) -> Iterator[str]:
    """Yield sentences about what makes measurements doubtful."""
    yield from _doubts_about_masks(geometry)
    yield from _doubts_about_directions(geometry)
    spacing = geometry.spacing
    if spacing and abs(spacing[0] / spacing[1] - 1) > _SQUARE:
        yield "Pixels are not square; what is not vertical or horizontal is off in mm."


def _doubts_about_masks(geometry: EyeGeometry) -> Iterator[str]:
    masks, disc = geometry.masks, geometry.disc
    if not disc:
        return
    area = int(np.count_nonzero(masks["disc"]))
    if math.pi * disc.diameter**2 / 4 < (1 - _OUTSIDE) * area:
        yield "The disc is in several parts; the largest counts."
    if _at_the_edge(masks["disc"], geometry.field.mask):
        yield "The disc touches the edge of the field of view."
    cup = int(np.count_nonzero(masks["cup"])) if "cup" in masks else 0
    outside = int(np.count_nonzero(masks["cup"] & ~masks["disc"])) if cup else 0
    if outside > _OUTSIDE * cup:
        yield f"{outside / cup:.0%} of the cup lies outside the disc."


def _doubts_about_directions(geometry: EyeGeometry) -> Iterator[str]:
    disc, fovea, eye = geometry.disc, geometry.fovea, geometry.eye
    if disc and fovea and geometry.turned:
        angle = abs(disc_fovea_angle(disc.center, fovea))
        yield (
            f"The line from disc to fovea is {angle:.0f} degrees off the horizontal: the image is "
            "turned, or disc or fovea are wrong. What has a direction is empty."
        )
    elif disc and fovea and eye and eye != side_of(disc.center, fovea):
        yield (
            f"The eye is said to be the {eye} one, and disc and fovea lie as in a "
            f"{side_of(disc.center, fovea)} one. What is nasal or temporal is empty."
        )
    elif geometry.rim and not geometry.directions:
        yield "The side of the eye is not known. What is nasal or temporal is empty."


def _at_the_edge(mask: Mask, field: Mask) -> bool:
    """Check whether a mask has a pixel beside one that is not in the field of view."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    around = np.pad(field, 1)[rows[0] : rows[-1] + 3, columns[0] : columns[-1] + 3]
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = inside.shape
    return any(
        bool((inside & ~around[down : down + height, right : right + width]).any())
        for down, right in ((0, 1), (2, 1), (1, 0), (1, 2))
    )
