"""Answers as layers, and what accepting them leaves in the mask."""

import numpy as np
import pytest
from napari import Viewer

from napari_sam2lora.layers.insertion import add_quietly, set_visible
from napari_sam2lora.layers.masks import accept_mask, find_mask_layer
from napari_sam2lora.layers.preview import PreviewLayers
from napari_sam2lora.layers.prompts import PromptLayers
from sam2lora.errors import GeometryError, ImageError, TargetError
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, disk, eye

pytestmark = pytest.mark.viewer
DISC = TARGETS["disc"]


@pytest.fixture
def viewer(make_napari_viewer) -> Viewer:
    viewer = make_napari_viewer()
    viewer.add_layer(eye(spacing=(0.01, 0.02))[0])
    return viewer


def values(level: float = 0.6) -> np.ndarray:
    return (disk(12) * level).astype(np.float32)


def test_a_second_answer_takes_the_place_of_the_first(viewer: Viewer):
    previews, image = PreviewLayers(viewer), viewer.layers["eye"]
    layer = previews.show(image, DISC, values(), threshold=0.5)
    again = previews.show(image, DISC, values(0.9), threshold=0.7)
    assert again is layer
    assert len(viewer.layers) == 2
    assert layer.data.max() == np.float32(0.9)
    assert layer.contrast_limits[0] == pytest.approx(0.7, abs=1e-3)
    np.testing.assert_allclose(layer.extent.world, image.extent.world)


def test_what_is_below_the_threshold_is_invisible_and_what_reaches_it_is_not(viewer: Viewer):
    layer = PreviewLayers(viewer).show(viewer.layers["eye"], DISC, values(), threshold=0.5)
    low, high = layer.contrast_limits
    shown = [layer.colormap.map((one - low) / (high - low))[0, 3] for one in (0.4999, 0.5, 0.999)]
    assert shown[0] < 0.01
    assert 0.4 < shown[1] < shown[2]


def test_it_lies_below_the_prompts_and_leaves_the_tool_alone(viewer: Viewer):
    image, prompts = viewer.layers["eye"], PromptLayers(viewer)
    prompts.use(image, DISC, "point")
    PreviewLayers(viewer).show(image, DISC, values(), threshold=0.5)
    assert [layer.name for layer in viewer.layers] == [
        *("eye", "eye disc preview", "eye disc points")
    ]
    active = viewer.layers.selection.active
    assert (active.name, active.mode) == ("eye disc points", "add")


def test_it_lies_above_its_own_image_where_there_are_several(viewer: Viewer):
    previews, prompts = PreviewLayers(viewer), PromptLayers(viewer)
    prompts.use(viewer.layers["eye"], DISC, "point")
    other = viewer.add_layer(eye(name="other")[0])
    layer = previews.show(other, DISC, values(), threshold=0.5)
    assert viewer.layers.index(layer) == viewer.layers.index(other) + 1
    prompts.use(other, DISC, "point")
    expected = ["other", "other disc preview", "other disc points"]
    assert [one.name for one in viewer.layers][-3:] == expected
    viewer.layers.move(viewer.layers.index(other), len(viewer.layers))  # as one opened again lies
    prompts.use(other, DISC, "point")
    assert previews.show(other, DISC, values(), threshold=0.5) is layer
    assert [one.name for one in viewer.layers][-3:] == expected


def test_only_those_of_the_present_image_are_seen(viewer: Viewer):
    previews, image = PreviewLayers(viewer), viewer.layers["eye"]
    other = viewer.add_layer(eye(name="other")[0])
    disc = previews.show(image, DISC, values(), threshold=0.5)
    cup = previews.show(image, TARGETS["cup"], values(), threshold=0.5)
    cup.visible = False  # by the user
    previews.show_only("other")
    assert not disc.visible
    late = previews.show(image, TARGETS["vessel"], values(), threshold=0.5)
    assert not late.visible
    assert previews.show(other, DISC, values(), threshold=0.5).visible
    previews.show_only("eye")
    assert (disc.visible, cup.visible, late.visible) == (True, False, True)
    previews.remove_but({"other"})
    assert [one.name for one in viewer.layers] == ["eye", "other", "other disc preview"]


@pytest.mark.parametrize("mode", ["replace", "add", "empty"])
def test_one_step_of_undo_takes_it_back(viewer: Viewer, mode: str):
    image = viewer.layers["eye"]
    viewer.add_layer(eye("disc")[1])
    labels = viewer.layers["eye disc"]
    before = labels.data.copy()
    changed = np.roll(disk(12), 5, axis=0)
    assert accept_mask(viewer, image, DISC, changed, mode) is labels
    assert (labels.data != before).any()
    labels.undo()
    np.testing.assert_array_equal(labels.data, before)
    labels.redo()
    expected = changed if mode == "replace" else changed | (before > 0)
    np.testing.assert_array_equal(labels.data > 0, expected)


def test_what_is_the_same_already_is_no_step(viewer: Viewer):
    labels = accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "replace")
    accept_mask(viewer, viewer.layers["eye"], DISC, disk(12), "replace")
    labels.undo()
    assert not labels.data.any()


def test_layers_that_do_not_fit_are_refused(viewer: Viewer):
    image = viewer.layers["eye"]
    labels = accept_mask(viewer, image, DISC, disk(12), "add")
    with pytest.raises(GeometryError, match="has shape"):
        accept_mask(viewer, image, DISC, np.ones((5, 5), bool), "add")
    copy = viewer.add_labels(labels.data.copy(), name="copy disc", metadata=labels.metadata)
    with pytest.raises(TargetError, match="Two layers show disc"):
        find_mask_layer(viewer, image, DISC)
    viewer.layers.remove(copy)
    labels.data = np.zeros((2, *SHAPE), np.uint8)
    with pytest.raises(ImageError, match="stack"):
        accept_mask(viewer, image, DISC, disk(12), "add")


def test_a_layer_of_something_else_is_no_mask(viewer: Viewer):
    image = viewer.layers["eye"]
    viewer.add_labels(np.zeros(SHAPE, np.uint8), name="cells")
    assert find_mask_layer(viewer, image, DISC) is None


def test_showing_what_is_shown_keeps_the_mode(viewer: Viewer):
    labels = add_quietly(viewer, eye("disc")[1])
    viewer.layers.selection.active = labels
    labels.mode = "paint"
    set_visible(labels, True)
    assert labels.mode == "paint"
    set_visible(labels, False)
    assert not labels.visible
