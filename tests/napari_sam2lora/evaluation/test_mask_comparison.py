"""A mask against a reference."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam2lora.evaluation.mask_comparison import (
    FALSE,
    HIT,
    MISSED,
    compare_masks,
    comparison_input,
    error_map,
    save_comparisons,
)
from sam2lora.errors import GeometryError

from ..conftest import SHAPE, disk, eye


@pytest.fixture
def viewer() -> ViewerModel:
    """Give an eye with a disc, and a reference that is shifted and marks the dark corner too."""
    model = ViewerModel()
    for layer in eye("disc"):
        model.add_layer(layer)
    truth = disk(12, (49, 48))
    truth[:4, :4] = True
    model.add_layer(Labels(truth.astype(np.uint8), name="reference"))
    return model


def test_errors_are_told_apart() -> None:
    mask, truth = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    assert error_map(mask, truth).tolist() == [[HIT, FALSE, MISSED, 0]]
    valid = np.array([[True, False, True, True]])
    assert error_map(mask, truth, valid).tolist() == [[HIT, 0, MISSED, 0]]


def test_only_the_field_of_view_is_judged(viewer: ViewerModel) -> None:
    mask, reference = viewer.layers["eye disc"], viewer.layers["reference"]
    inside, errors = compare_masks(comparison_input(viewer, mask, reference, inside_field=True))
    whole, _ = compare_masks(comparison_input(viewer, mask, reference, inside_field=False))
    assert (whole.pixels["fn"] - inside.pixels["fn"], inside.unit) == (16, "px")
    assert 0 < whole.scores["dice"] < inside.scores["dice"] < 1
    assert "auc" not in inside.scores
    assert errors[0].shape == SHAPE
    assert errors[0][:4, :4].sum() == 0
    assert set(np.unique(errors[0])) == {0, HIT, FALSE, MISSED}


def test_what_is_painted_later_does_not_count(viewer: ViewerModel) -> None:
    mask, reference = viewer.layers["eye disc"], viewer.layers["reference"]
    question = comparison_input(viewer, mask, reference, inside_field=True)
    mask.data[:] = 0
    assert compare_masks(question)[0].pixels["tp"] > 0


def test_masks_of_different_images_are_refused(viewer: ViewerModel) -> None:
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
    with pytest.raises(GeometryError, match="its photograph is not open"):
        comparison_input(viewer, layers[1], layers[1], inside_field=True)


def test_what_only_the_size_says_is_said(viewer: ViewerModel, tmp_path: Path) -> None:
    eye_disc, reference = viewer.layers["eye disc"], viewer.layers["reference"]
    named = Labels(reference.data, name="eye reference")
    assert comparison_input(viewer, eye_disc, named, inside_field=False).doubt == ""
    other = Labels(reference.data, name="eye1 disc")
    question = comparison_input(viewer, other, eye_disc, inside_field=False)
    assert question.doubt == "Only its size says that eye1 disc is of eye."
    save_comparisons(tmp_path / "scores.csv", [compare_masks(question)[0]])
    assert question.doubt in (tmp_path / "scores.csv").read_text(encoding="utf-8")
    with pytest.raises(GeometryError, match="eye1 disc: it is not known of which photograph"):
        comparison_input(viewer, other, reference, inside_field=False)


def test_a_mask_of_a_photograph_that_is_gone_is_refused(viewer: ViewerModel) -> None:
    gone = Labels(disk(12).astype(np.uint8), name="gone disc")
    gone.metadata = {"sam2lora": {"image": "gone.png"}}
    for layers in ((gone, viewer.layers["reference"]), (viewer.layers["eye disc"], gone)):
        with pytest.raises(GeometryError, match="gone disc: its photograph is not open"):
            comparison_input(viewer, *layers, inside_field=True)


def test_sizes_that_differ_are_named(viewer: ViewerModel) -> None:
    small = Labels(np.zeros((5, 6), np.uint8), name="small")
    question = comparison_input(viewer, viewer.layers["eye disc"], small, inside_field=False)
    with pytest.raises(GeometryError, match="the reference 6 × 5"):
        compare_masks(question)


def test_a_file_has_a_line_for_each(viewer: ViewerModel, tmp_path: Path) -> None:
    empty = Labels(np.zeros(SHAPE, np.uint8), name="eye nothing")
    layers = [viewer.layers["eye disc"], empty]
    made = [
        compare_masks(comparison_input(viewer, one, viewer.layers["reference"], inside_field=True))[
            0
        ]
        for one in layers
    ]
    assert math.isnan(made[1].scores["assd"])
    save_comparisons(tmp_path / "scores.csv", made)
    with (tmp_path / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["mask"] for row in rows] == ["eye disc", "eye nothing"]
    assert float(rows[0]["dice"]) == made[0].scores["dice"]
    assert (rows[1]["assd"], rows[1]["judged"]) == ("", "field of view")
