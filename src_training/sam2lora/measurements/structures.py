"""Measurements of masks: areas, disc and cup diameters, cup/disc ratios, vessel density."""

from collections.abc import Mapping

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from skimage import measure as regions

from sam2lora.errors import GeometryError
from sam2lora.images.field_of_view import FieldOfView
from sam2lora.types import Mask, Spacing


class Extent(BaseModel):
    """Size of one structure; millimetres are None where the image has no scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    area_px: int = Field(ge=0, description="area in native pixels")
    area_mm2: float | None = Field(description="area in square millimetres")
    vertical_px: int = Field(ge=0, description="height of the largest connected part, in pixels")
    vertical_mm: float | None = Field(description="the same in millimetres")
    horizontal_px: int = Field(ge=0, description="width of the largest connected part, in pixels")
    horizontal_mm: float | None = Field(description="the same in millimetres")


class Measurements(BaseModel):
    """Measurements of one image; None where undefined, because a structure is absent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field_diameter_px: float = Field(description="diameter of the field of view's circle")
    field_area_px: int = Field(description="area of the visible field of view")
    spacing_mm: Spacing | None = Field(description="millimetres per pixel (row, column)")
    structures: dict[str, Extent] = Field(
        description="size of each target inside the field of view"
    )
    vertical_cup_disc_ratio: float | None = Field(description="cup height / disc height")
    area_cup_disc_ratio: float | None = Field(description="cup area / disc area")
    vessel_density: float | None = Field(description="share of the field of view that is vessel")


def measure(
    masks: Mapping[str, Mask], field: FieldOfView, *, spacing: Spacing | None = None
) -> Measurements:
    """Measure the masks of one image, inside its field of view.

    Parameters
    ----------
    masks
        Target name to `(H, W)` mask; the ratios are of `disc`, `cup` and `vessel`.
    field
        The field of view of the same image.
    spacing
        Millimetres per pixel (row, column), where known.

    Raises
    ------
    GeometryError
        If a mask differs in size from the field of view.

    Notes
    -----
    The vertical cup/disc ratio is the ratio of the vertical diameters, as graded clinically; it is
    0 if there is a disc without a cup, and undefined without a disc.
    """
    check_sizes(masks, field)
    structures = {name: _extent(mask & field.mask, spacing) for name, mask in masks.items()}
    field_area = int(field.mask.sum())
    disc, cup, vessel = (structures.get(name) for name in ("disc", "cup", "vessel"))
    vertical = area = None
    if disc and cup and disc.area_px:
        vertical = cup.vertical_px / disc.vertical_px
        area = cup.area_px / disc.area_px
    return Measurements(
        field_diameter_px=field.diameter,
        field_area_px=field_area,
        spacing_mm=spacing,
        structures=structures,
        vertical_cup_disc_ratio=vertical,
        area_cup_disc_ratio=area,
        vessel_density=vessel.area_px / field_area if vessel and field_area else None,
    )


def check_sizes(masks: Mapping[str, Mask], field: FieldOfView) -> None:
    """Check that masks have the size of the field of view.

    Raises
    ------
    GeometryError
        If one has not.
    """
    for name, mask in masks.items():
        if mask.shape != field.mask.shape:
            raise GeometryError(
                f"The {name} mask has shape {mask.shape}, the field of view {field.mask.shape}; "
                "both must belong to one image."
            )


def _extent(mask: Mask, spacing: Spacing | None) -> Extent:
    area = int(mask.sum())
    height, width = _largest_part(mask) if area else (0, 0)
    return Extent(
        area_px=area,
        area_mm2=area * spacing[0] * spacing[1] if spacing else None,
        vertical_px=height,
        vertical_mm=height * spacing[0] if spacing else None,
        horizontal_px=width,
        horizontal_mm=width * spacing[1] if spacing else None,
    )


def _largest_part(mask: Mask) -> tuple[int, int]:
    """Return height and width of the largest connected part, so that stray pixels do not count."""
    labels = regions.label(mask)
    largest = labels == 1 + np.bincount(labels.ravel())[1:].argmax()
    rows, columns = (np.flatnonzero(largest.any(axis=axis)) for axis in (1, 0))
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
