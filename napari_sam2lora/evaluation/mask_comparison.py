"""Compare Labels layers with a reference: every metric inside the field of view, and the errors."""

import csv
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
from sam2lora.utils.files import atomic_path

HIT, FALSE, MISSED = 1, 2, 3
"""Values of the map of errors: true positive, false positive, false negative."""


@dataclass(frozen=True)
class MaskComparison:
    """What a mask is worth against a reference.

    Attributes
    ----------
    image, mask, reference
        Names of the layers.
    inside_field
        Whether only the field of view was judged.
    scores
        Metrics of `sam2lora.metrics.aggregate.score_mask`; NaN where undefined. Distances are in
        mm where the image has a scale, else in pixels.
    pixels
        Numbers of pixels: `tp`, `fp`, `fn`, `tn`.
    unit
        Of the distances.
    doubt
        What is not sure, in words; empty if nothing is.
    """

    image: str
    mask: str
    reference: str
    inside_field: bool
    scores: Mapping[str, float]
    pixels: Mapping[str, int]
    unit: str
    doubt: str


@dataclass(frozen=True, eq=False)
class ComparisonInput:
    """What is compared, apart from layers, so that any thread can answer."""

    image: LayerData
    mask: LayerData
    reference: LayerData
    inside_field: bool
    doubt: str = ""


def comparison_input(
    viewer: Viewer, mask: Labels, reference: Labels, *, inside_field: bool
) -> ComparisonInput:
    """Take what is compared from the layers.

    A layer that does not say of which image it is, is taken to be of the other layer's, or of the
    one of its size; the question says so.

    Raises
    ------
    GeometryError
        If there is no image that the mask belongs to, or the reference belongs to another.
    """
    images, layers = fundus_images(viewer.layers), (mask, reference)
    owners = [image_of_labels(layer, images) for layer in layers]
    for layer, owner in zip(layers, owners, strict=True):
        if owner.certain and owner.image is None:
            raise GeometryError(
                f"{layer.name}: its photograph is not open, so the field of view is not known."
            )
    found = [owner.image for owner in owners if owner.image is not None]
    if not found:
        raise GeometryError(
            f"{mask.name}: it is not known of which photograph it is. Open that, and let the name "
            "of the layer begin with its name."
        )
    image = found[0]
    if image is not found[-1]:
        raise GeometryError(
            f"{mask.name} is of {image.name}, {reference.name} of {found[-1].name}: they are masks "
            "of different images."
        )
    unsure = [one.name for one, its in zip(layers, owners, strict=True) if not its.certain]
    doubt = " ".join(f"Only its size says that {one} is of {image.name}." for one in unsure)
    frozen = [_frozen(layer_data(one)) for one in layers]
    return ComparisonInput(layer_data(image), frozen[0], frozen[1], inside_field, doubt)


def compare_masks(inputs: ComparisonInput) -> tuple[MaskComparison, LayerData]:
    """Compute every metric, and the layer that shows the errors.

    Raises
    ------
    Sam2LoraError
        If the sizes differ, or a layer is a stack.
    """
    pixels = pixels_of(inputs.image)
    mask, truth = mask_of(inputs.mask), mask_of(inputs.reference)
    names = {"the mask": mask.shape, "the reference": truth.shape, "the image": pixels.shape[:2]}
    if len(set(names.values())) > 1:
        sizes = ", ".join(f"{name} {shape[1]} × {shape[0]}" for name, shape in names.items())
        raise GeometryError(f"The sizes differ: {sizes} (width × height).")
    valid: Mask | None = None
    if inputs.inside_field:
        valid = scoring_field_of_view(inputs.image).mask
    spacing = spacing_of(inputs.image)
    counts = count(mask, truth, valid=valid)
    result = MaskComparison(
        image=inputs.image[1]["name"],
        mask=inputs.mask[1]["name"],
        reference=inputs.reference[1]["name"],
        inside_field=inputs.inside_field,
        scores={
            name: value
            for name, value in score_mask(mask, truth, valid=valid, spacing=spacing).items()
            if name != "auc"  # a mask has none
        },
        pixels={name: int(getattr(counts, name)) for name in ("tp", "fp", "fn", "tn")},
        unit="px" if spacing is None else "mm",
        doubt=inputs.doubt,
    )
    return result, error_layer(inputs, error_map(mask, truth, valid))


def error_map(mask: Mask, truth: Mask, valid: Mask | None = None) -> np.ndarray:
    """Give `(H, W)` uint8: `HIT`, `FALSE`, `MISSED`, or 0 where rightly empty or not judged."""
    errors = np.zeros(mask.shape, np.uint8)
    errors[mask & truth] = HIT
    errors[mask & ~truth] = FALSE
    errors[~mask & truth] = MISSED
    if valid is not None:
        errors[~valid] = 0
    return errors


def error_layer(inputs: ComparisonInput, errors: np.ndarray) -> LayerData:
    """Make the layer of a map of errors, over its image."""
    colors = dict(zip((HIT, FALSE, MISSED), ERROR_COLORS, strict=True))
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
    """Write a CSV file, a line for each comparison; what is undefined is empty.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    rows = [
        {
            "image": one.image,
            "mask": one.mask,
            "reference": one.reference,
            "judged": "field of view" if one.inside_field else "whole image",
            **{name: "" if np.isnan(value) else repr(value) for name, value in one.scores.items()},
            "unit": one.unit,
            **one.pixels,
            "doubt": one.doubt,
        }
        for one in comparisons
    ]
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, list(rows[0]) if rows else ["image"])
        writer.writeheader()
        writer.writerows(rows)


def _frozen(layer: LayerData) -> LayerData:
    """Keep what is painted now: a thread reads it while the user may paint on."""
    data, options, kind = layer
    return np.array(data), options, kind
