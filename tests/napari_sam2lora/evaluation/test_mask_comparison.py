"""Comparison of a mask with a reference."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam2lora.evaluation.mask_comparison import (
    FALSE_NEGATIVE,
    FALSE_POSITIVE,
    TRUE_POSITIVE,
    compare_masks,
    comparison_input,
    error_map,
    save_comparisons,
)
from sam2lora.errors import GeometryError

from ..conftest import SHAPE, disk, eye


@pytest.fixture
def viewer() -> ViewerModel:
    """Create a viewer with a disc, and a shifted reference that also marks the dark corner."""
    model = ViewerModel()
    for layer in eye("disc"):
        model.add_layer(layer)
    reference = disk(12, (49, 48))
    reference[:4, :4] = True
    model.add_layer(Labels(reference.astype(np.uint8), name="reference"))
    return model


def test_error_map_distinguishes_the_kinds_of_errors() -> None:
    mask, reference = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    assert error_map(mask, reference).tolist() == [
        [TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE, 0]
    ]
    valid = np.array([[True, False, True, True]])
    assert error_map(mask, reference, valid).tolist() == [[TRUE_POSITIVE, 0, FALSE_NEGATIVE, 0]]


def test_only_the_field_of_view_is_scored(viewer: ViewerModel) -> None:
    mask, reference = viewer.layers["eye disc"], viewer.layers["reference"]
    inside, errors = compare_masks(comparison_input(viewer, mask, reference, inside_field=True))
    whole, _ = compare_masks(comparison_input(viewer, mask, reference, inside_field=False))
    assert (whole.pixels["fn"] - inside.pixels["fn"], inside.unit) == (16, "px")
    assert 0 < whole.scores["dice"] < inside.scores["dice"] < 1
    assert "auc" not in inside.scores
    assert errors[0].shape == SHAPE
    assert errors[0][:4, :4].sum() == 0
    assert set(np.unique(errors[0])) == {0, TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE}


def test_later_painting_does_not_change_the_comparison(viewer: ViewerModel) -> None:
    mask, reference = viewer.layers["eye disc"], viewer.layers["reference"]
    inputs = comparison_input(viewer, mask, reference, inside_field=True)
    mask.data[:] = 0
    assert compare_masks(inputs)[0].pixels["tp"] > 0


def test_masks_of_different_images_are_rejected(viewer: ViewerModel) -> None:
    for data in (eye("disc")[0], eye("disc")[1]):
        data.name = data.name.replace("eye", "other")
        data.metadata = {"sam2lora": {"path": "other.png"} | {"image": "other.png"}}
        viewer.add_layer(data)
    viewer.layers["other"].metadata = {"sam2lora": {"path": "other.png"}}
    viewer.layers["other disc"].metadata = {"sam2lora": {"image": "other.png"}}
    layers = viewer.layers["eye disc"], viewer.layers["other disc"]
    with pytest.raises(GeometryError, match="masks of different images"):
        comparison_input(viewer, *layers, inside_field=True)
    viewer.layers.remove("other")  # an image of the same size is open, but not its own
    with pytest.raises(GeometryError, match="its image is not open"):
        comparison_input(viewer, layers[1], layers[1], inside_field=True)


def test_match_by_size_only_is_a_warning(viewer: ViewerModel, tmp_path: Path) -> None:
    eye_disc, reference = viewer.layers["eye disc"], viewer.layers["reference"]
    named = Labels(reference.data, name="eye reference")
    assert comparison_input(viewer, eye_disc, named, inside_field=False).warning == ""
    other = Labels(reference.data, name="eye1 disc")
    inputs = comparison_input(viewer, other, eye_disc, inside_field=False)
    assert inputs.warning == "eye1 disc was matched to eye by its size only."
    save_comparisons(tmp_path / "scores.csv", [compare_masks(inputs)[0]])
    assert inputs.warning in (tmp_path / "scores.csv").read_text(encoding="utf-8")
    with pytest.raises(GeometryError, match="eye1 disc: its image is unknown"):
        comparison_input(viewer, other, reference, inside_field=False)


def test_mask_of_a_closed_image_is_rejected(viewer: ViewerModel) -> None:
    gone = Labels(disk(12).astype(np.uint8), name="gone disc")
    gone.metadata = {"sam2lora": {"image": "gone.png"}}
    for layers in ((gone, viewer.layers["reference"]), (viewer.layers["eye disc"], gone)):
        with pytest.raises(GeometryError, match="gone disc: its image is not open"):
            comparison_input(viewer, *layers, inside_field=True)


def test_error_names_the_sizes_that_differ(viewer: ViewerModel) -> None:
    small = Labels(np.zeros((5, 6), np.uint8), name="small")
    inputs = comparison_input(viewer, viewer.layers["eye disc"], small, inside_field=False)
    with pytest.raises(GeometryError, match="the reference 6 × 5"):
        compare_masks(inputs)


def test_csv_file_has_one_line_per_comparison(viewer: ViewerModel, tmp_path: Path) -> None:
    empty = Labels(np.zeros(SHAPE, np.uint8), name="eye nothing")
    reference = viewer.layers["reference"]
    inputs = [
        comparison_input(viewer, mask, reference, inside_field=True)
        for mask in (viewer.layers["eye disc"], empty)
    ]
    comparisons = [compare_masks(each)[0] for each in inputs]
    assert math.isnan(comparisons[1].scores["assd"])
    save_comparisons(tmp_path / "scores.csv", comparisons)
    with (tmp_path / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["mask"] for row in rows] == ["eye disc", "eye nothing"]
    assert float(rows[0]["dice"]) == comparisons[0].scores["dice"]
    assert (rows[1]["assd"], rows[1]["judged"]) == ("", "field of view")
