"""Compare a Labels layer with a reference: all metrics, an error map, and a CSV file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari.layers import Labels
from napari.viewer import Viewer

from napari_sam2lora.layers.conversion import LayerData, mask_of, pixels_of, spacing_of, view_layer
from napari_sam2lora.layers.field_of_view import scoring_field_of_view
from napari_sam2lora.layers.lookup import fundus_images, image_of_labels, layer_data
from sam2lora.errors import GeometryError
from sam2lora.images.visualization import ERROR_COLORS
from sam2lora.metrics.aggregate import score_mask
from sam2lora.metrics.segmentation import count
from sam2lora.types import Mask
from sam2lora.utils.csv_files import write_csv

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = 1, 2, 3
"""Values of the error map."""


@dataclass(frozen=True)
class MaskComparison:
    """Scores of a mask against a reference.

    Attributes
    ----------
    image, mask, reference
        Names of the layers.
    inside_field
        Whether only the field of view was scored.
    scores
        Metrics of `sam2lora.metrics.aggregate.score_mask`; NaN where undefined. Distances are in
        mm where the image has a scale, else in pixels.
    pixels
        Numbers of pixels: `tp`, `fp`, `fn`, `tn`.
    unit
        Unit of the distances: mm or px.
    warning
        Message about a layer whose image was inferred from its size; empty if there is none.
    """

    image: str
    mask: str
    reference: str
    inside_field: bool
    scores: Mapping[str, float]
    pixels: Mapping[str, int]
    unit: str
    warning: str


@dataclass(frozen=True, eq=False)
class ComparisonInput:
    """Copies of the layers to compare, for a worker thread.

    Attributes
    ----------
    image, mask, reference
        The layers.
    inside_field
        Whether only the field of view is scored.
    warning
        As for `MaskComparison`.
    """

    image: LayerData
    mask: LayerData
    reference: LayerData
    inside_field: bool
    warning: str = ""


def comparison_input(
    viewer: Viewer, mask: Labels, reference: Labels, *, inside_field: bool
) -> ComparisonInput:
    """Copy what is compared from the layers.

    A layer of unknown origin is taken to belong to the other layer's image, or to the image of its
    size; `warning` says so.

    Parameters
    ----------
    viewer
        The viewer that holds the layers.
    mask, reference
        The layers to compare.
    inside_field
        Whether only the field of view is scored.

    Raises
    ------
    GeometryError
        If the image of the layers is not open or unknown, or they belong to different images.
    """
    images, layers = fundus_images(viewer.layers), (mask, reference)
    owners = [image_of_labels(layer, images) for layer in layers]
    for layer, owner in zip(layers, owners, strict=True):
        if owner.certain and owner.image is None:
            raise GeometryError(
                f"{layer.name}: its image is not open, so its field of view is unknown. Open the "
                "image."
            )
    found = [owner.image for owner in owners if owner.image is not None]
    if not found:
        raise GeometryError(
            f"{mask.name}: its image is unknown. Open the image, and rename the layer so that it "
            "begins with the image's name."
        )
    image = found[0]
    if image is not found[-1]:
        raise GeometryError(
            f"{mask.name} belongs to {image.name}, {reference.name} to {found[-1].name}: they are "
            "masks of different images."
        )
    warning = " ".join(
        f"{layer.name} was matched to {image.name} by its size only."
        for layer, owner in zip(layers, owners, strict=True)
        if not owner.certain
    )
    copies = [_copy(layer_data(layer)) for layer in layers]
    return ComparisonInput(layer_data(image), copies[0], copies[1], inside_field, warning)


def compare_masks(inputs: ComparisonInput) -> tuple[MaskComparison, LayerData]:
    """Compute all metrics, and the layer of the error map.

    Raises
    ------
    Sam2LoraError
        If the sizes differ, or a layer is a stack.
    """
    pixels = pixels_of(inputs.image)
    mask, reference = mask_of(inputs.mask), mask_of(inputs.reference)
    shapes = {
        "the mask": mask.shape,
        "the reference": reference.shape,
        "the image": pixels.shape[:2],
    }
    if len(set(shapes.values())) > 1:
        sizes = ", ".join(f"{name} {shape[1]} × {shape[0]}" for name, shape in shapes.items())
        raise GeometryError(f"The sizes differ: {sizes} (width × height).")
    valid: Mask | None = None
    if inputs.inside_field:
        valid = scoring_field_of_view(inputs.image).mask
    spacing = spacing_of(inputs.image)
    counts = count(mask, reference, valid=valid)
    result = MaskComparison(
        image=inputs.image[1]["name"],
        mask=inputs.mask[1]["name"],
        reference=inputs.reference[1]["name"],
        inside_field=inputs.inside_field,
        scores={
            name: value
            for name, value in score_mask(mask, reference, valid=valid, spacing=spacing).items()
            if name != "auc"  # needs probabilities
        },
        pixels={name: int(getattr(counts, name)) for name in ("tp", "fp", "fn", "tn")},
        unit="px" if spacing is None else "mm",
        warning=inputs.warning,
    )
    return result, error_layer(inputs, error_map(mask, reference, valid))


def error_map(mask: Mask, reference: Mask, valid: Mask | None = None) -> np.ndarray:
    """Return the errors of a mask.

    Parameters
    ----------
    mask, reference
        `(H, W)` bool.
    valid
        `(H, W)` bool, True where the mask is scored; None scores all pixels.

    Returns
    -------
    `(H, W)` uint8: `TRUE_POSITIVE`, `FALSE_POSITIVE`, `FALSE_NEGATIVE`, or 0 elsewhere.
    """
    errors = np.zeros(mask.shape, np.uint8)
    errors[mask & reference] = TRUE_POSITIVE
    errors[mask & ~reference] = FALSE_POSITIVE
    errors[~mask & reference] = FALSE_NEGATIVE
    if valid is not None:
        errors[~valid] = 0
    return errors


def error_layer(inputs: ComparisonInput, errors: np.ndarray) -> LayerData:
    """Create the layer of an error map, aligned with the image."""
    values = (TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE)
    colors = dict(zip(values, ERROR_COLORS, strict=True))
    data, options, kind = view_layer(
        f"errors of {inputs.mask[1]['name']}",
        errors,
        inputs.image,
        "labels",
        colormap={0: "transparent", None: "transparent", **colors},
        opacity=0.7,
    )
    return data, options, kind


def save_comparisons(path: Path, comparisons: Sequence[MaskComparison]) -> None:
    """Write a CSV file with one line per comparison; undefined scores are empty.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    rows = [
        {
            "image": comparison.image,
            "mask": comparison.mask,
            "reference": comparison.reference,
            "judged": "field of view" if comparison.inside_field else "whole image",
            **{
                name: "" if np.isnan(value) else repr(value)
                for name, value in comparison.scores.items()
            },
            "unit": comparison.unit,
            **comparison.pixels,
            "doubt": comparison.warning,
        }
        for comparison in comparisons
    ]
    write_csv(path, list(rows[0]) if rows else ["image"], rows)


def _copy(layer: LayerData) -> LayerData:
    """Copy a layer's data: a worker thread reads them while the user may continue painting."""
    data, options, kind = layer
    return np.array(data), options, kind
