"""Labels layers of masks: found, added, and written by accepting a prediction."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Labels

from napari_sam2lora.layers.lookup import is_linked, layer_data
from napari_sam2lora.layers.masks import (
    accept_mask,
    add_mask,
    find_mask_layer,
    is_as_predicted,
    match_brush,
    match_brushes_once_shown,
)
from napari_sam2lora.layers.metadata import plugin_metadata
from sam2lora.errors import GeometryError, ImageError, TargetError
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, disk, eye, viewer_with

DISC = TARGETS["disc"]


@pytest.fixture
def viewer() -> ViewerModel:
    return viewer_with(eye(spacing=(0.01, 0.02))[0])


def test_added_mask_is_empty_on_top_and_linked(viewer: ViewerModel):
    image = viewer.layers["eye"]
    mask = add_mask(viewer, image, DISC)
    assert viewer.layers[-1] is mask
    assert not mask.data.any()
    assert mask.data.shape == SHAPE
    assert mask.selected_label == DISC.label
    assert plugin_metadata(mask.metadata)["image"] == "eye"
    np.testing.assert_allclose(mask.extent.world, image.extent.world)


@pytest.mark.parametrize("mode", ["replace", "add", "empty"])
def test_accepting_is_one_undo_step(viewer: ViewerModel, mode: str):
    image = viewer.layers["eye"]
    labels = viewer.add_layer(eye("disc")[1])
    before = labels.data.copy()
    mask = np.roll(disk(12), 5, axis=0)
    assert accept_mask(viewer, image, DISC, mask, mode) is labels
    assert (labels.data != before).any()
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    labels.redo()
    expected = mask if mode == "replace" else mask | (before > 0)
    np.testing.assert_array_equal(labels.data > 0, expected)


@pytest.mark.parametrize(("mode", "inside"), [("replace", 7), ("add", DISC.label), ("empty", 7)])
def test_pixels_with_another_label(viewer: ViewerModel, mode: str, inside: int):
    labels = add_mask(viewer, viewer.layers["eye"], DISC)
    labels.data_setitem((np.array([48, 0]), np.array([45, 0])), 7)  # inside and outside the disk
    accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), mode)
    assert labels.data[48, 45] == inside
    assert labels.data[0, 0] == (0 if mode == "replace" else 7)
    assert labels.data[48, 46] == DISC.label


def test_accepting_the_same_mask_adds_no_undo_step(viewer: ViewerModel):
    labels = accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "replace")
    accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "replace")
    labels.undo()
    assert not labels.data.any()


def test_accepting_links_and_shows_a_layer_of_other_origin(viewer: ViewerModel):
    labels = viewer.add_layer(Labels(np.zeros(SHAPE, np.uint8), name="disc"))
    labels.visible = False
    assert not is_linked(labels)
    assert accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "add") is labels
    metadata = plugin_metadata(labels.metadata)
    assert (metadata["image"], metadata["target"]) == ("eye", "disc")
    assert labels.visible


def test_layer_that_was_opened_hidden_can_be_accepted_into(viewer: ViewerModel):
    hidden = viewer.add_layer(Labels(np.zeros(SHAPE, np.uint8), name="disc", visible=False))
    assert accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "replace") is hidden
    np.testing.assert_array_equal(hidden.data != 0, disk(12))


def test_layers_that_do_not_fit_are_rejected(viewer: ViewerModel):
    image = viewer.layers["eye"]
    labels = accept_mask(viewer, image, DISC, disk(12), "add")
    with pytest.raises(GeometryError, match="has shape"):
        accept_mask(viewer, image, DISC, np.ones((5, 5), bool), "add")
    labels.data = np.zeros((2, *SHAPE), np.uint8)
    with pytest.raises(ImageError, match="stack"):
        accept_mask(viewer, image, DISC, disk(12), "add")


def test_two_layers_of_one_target_are_rejected(viewer: ViewerModel):
    labels = add_mask(viewer, viewer.layers["eye"], DISC)
    viewer.add_labels(labels.data.copy(), name="copy disc", metadata=labels.metadata)
    with pytest.raises(TargetError, match="Two layers show disc"):
        find_mask_layer(viewer, viewer.layers["eye"], DISC)


def test_layer_of_another_target_is_not_found(viewer: ViewerModel):
    viewer.add_labels(np.zeros(SHAPE, np.uint8), name="cells")
    add_mask(viewer, viewer.layers["eye"], TARGETS["cup"])
    assert find_mask_layer(viewer, viewer.layers["eye"], DISC) is None


def test_brush_paints_the_label_of_the_mask():
    disc = eye("disc")[1]
    assert disc.selected_label != DISC.label  # napari's default
    match_brush(disc)
    assert disc.selected_label == DISC.label
    foreign = Labels(disk(12) * 7, name="eye disc")
    match_brush(foreign)
    assert foreign.selected_label == 7
    foreign.data_setitem((np.array([0]), np.array([0])), 3)
    foreign.selected_label = 3
    match_brush(foreign)
    assert foreign.selected_label == 3
    cells = Labels(disk(12) * 7, name="cells")
    match_brush(cells)
    assert cells.selected_label == 1


def test_brushes_are_matched_when_a_reader_has_added_its_layers(viewer: ViewerModel):
    layers = eye("disc", "cup", name="other")
    match_brushes_once_shown(viewer, [layer_data(layer) for layer in layers])
    for layer in layers:
        viewer.add_layer(layer)
    labels = {layer.name: layer.selected_label for layer in viewer.layers[2:]}
    assert labels == {f"other {name}": TARGETS[name].label for name in ("disc", "cup")}
    later = viewer.add_layer(eye("disc", name="later")[1])
    assert later.selected_label == 1


def test_accepted_mask_is_as_predicted_until_it_is_painted(viewer: ViewerModel):
    labels = accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "replace")
    assert is_as_predicted(labels, labels.data > 0)
    labels.data_setitem((np.array([0]), np.array([0])), DISC.label)
    assert not is_as_predicted(labels, labels.data > 0)
    accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "add")
    assert not is_as_predicted(labels, labels.data > 0)
    accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "replace", corrected=True)
    assert not is_as_predicted(labels, labels.data > 0), "a user's prompts have corrected it"
