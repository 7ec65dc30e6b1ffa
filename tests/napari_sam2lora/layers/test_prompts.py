"""Prompt layers: created, found again, undone and kept apart."""

from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.metadata import with_plugin_metadata
from napari_sam2lora.layers.prompt_conversion import NEGATIVE, POSITIVE
from napari_sam2lora.layers.prompts import PromptLayers
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.targets import TARGETS

from ..conftest import disk, eye, viewer_with

pytestmark = pytest.mark.usefixtures("qapp")  # boxes are tidied up by a timer
DISC, CUP = TARGETS["disc"], TARGETS["cup"]
KEY = ("eye", "disc")


@pytest.fixture
def viewer() -> ViewerModel:
    return viewer_with(eye(spacing=(0.01, 0.02))[0])


@pytest.fixture
def prompts(viewer: ViewerModel) -> PromptLayers:
    return PromptLayers(viewer)


@pytest.fixture
def image(viewer: ViewerModel) -> Image:
    return viewer.layers["eye"]


def test_drawn_points_and_box_become_prompts_in_x_and_y(prompts: PromptLayers, image: Image):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    changed: list[object] = []
    prompts.changed.connect(changed.append)
    points.add([20.25, 30.5])
    prompts.set_positive(False)
    points.add([50, 40])
    boxes.add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])], shape_type="rectangle")
    found = prompts.at(KEY)
    assert found.points == (PointPrompt(30.5, 20.25), PointPrompt(40, 50, positive=False))
    assert found.box == (20, 10, 60, 70)
    assert changed == [KEY] * 3
    assert [tuple(color[:3].round(2)) for color in points.face_color] == [
        tuple(np.round([int(one[n : n + 2], 16) / 255 for n in (1, 3, 5)], 2))
        for one in (POSITIVE, NEGATIVE)
    ]
    assert list(points.features["positive"]) == [True, False]
    np.testing.assert_allclose(points.scale, image.scale)


def test_every_step_can_be_undone_and_redone(prompts: PromptLayers, image: Image):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    assert not prompts.undo(KEY)
    points.add([20, 30])
    boxes.add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])], shape_type="rectangle")
    points.data = np.array([[25.0, 35.0]])  # moved
    for expected, box in (
        ((PointPrompt(30, 20),), True),
        ((PointPrompt(30, 20),), False),
        ((), False),
    ):
        assert prompts.undo(KEY)
        assert (prompts.at(KEY).points, prompts.at(KEY).box is not None) == (expected, box)
        assert (len(points.data), len(boxes.data)) == (len(expected), int(box))
    for _ in range(3):
        assert prompts.redo(KEY)
    assert not prompts.redo(KEY)
    assert prompts.at(KEY).points == (PointPrompt(35, 25),)
    prompts.clear(KEY)
    assert prompts.at(KEY).empty
    assert len(points.data) == 0
    assert prompts.undo(KEY)
    assert prompts.at(KEY).box == (20, 10, 60, 70)


def test_point_labels_survive_undo_and_redo(prompts: PromptLayers, image: Image):
    points = prompts.points(image, DISC)
    for number, positive in enumerate((False, True, False)):
        prompts.set_positive(positive)
        points.add([20 + number, 30])
    prompts.undo(KEY)
    prompts.undo(KEY)
    prompts.redo(KEY)
    assert list(points.features["positive"]) == [False, True]


def test_newest_box_replaces_others_and_a_click_is_no_box(
    prompts: PromptLayers, image: Image, qtbot: QtBot
):
    boxes = prompts.boxes(image, DISC)
    for left in (20, 30):
        corners = np.array([(10, left), (10, 60), (70, 60), (70, left)])
        boxes.add([corners], shape_type="rectangle")
    boxes.add([np.array([(10, 5), (10, 6), (11, 6), (11, 5)])], shape_type="rectangle")
    assert prompts.at(KEY).box == (30, 10, 60, 70)
    qtbot.waitUntil(lambda: len(boxes.data) == 1)
    assert prompts.at(KEY).box == (30, 10, 60, 70)


def test_prompts_outside_the_field_of_view_leave_every_step(prompts: PromptLayers, image: Image):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    points.add([0, 0])
    points.add([20, 30])
    boxes.add([np.array([(0, 0), (0, 4), (4, 4), (4, 0)])], shape_type="rectangle")
    points.add([50, 50])
    prompts.undo(KEY)
    changed: list[object] = []
    prompts.changed.connect(changed.append)
    prompts.keep_inside(KEY, disk(40))
    assert prompts.at(KEY).points == (PointPrompt(30, 20),)
    assert prompts.at(KEY).box is None
    assert (len(points.data), boxes.nshapes) == (1, 0)
    assert changed == [KEY]
    prompts.keep_inside(KEY, disk(40))
    assert changed == [KEY]
    assert prompts.redo(KEY)
    assert prompts.at(KEY).points == (PointPrompt(30, 20), PointPrompt(50, 50))
    assert prompts.undo(KEY)
    assert prompts.undo(KEY)
    assert not prompts.undo(KEY)
    assert prompts.at(KEY).empty
    prompts.keep_inside(("another", "disc"), disk(40))


def test_each_target_has_its_own_layers_and_others_are_hidden(prompts: PromptLayers, image: Image):
    disc = prompts.points(image, DISC)
    cup = prompts.points(image, CUP)
    disc.add([20, 30])
    assert prompts.at(("eye", "cup")).empty
    prompts.show_only(("eye", "cup"))
    assert (disc.visible, cup.visible) == (False, True)
    prompts.use(image, DISC, "point")
    assert disc.visible
    assert disc.mode == "add"
    prompts.use(image, DISC, "box")
    assert prompts.boxes(image, DISC).mode == "add_rectangle"


def test_layers_are_found_by_metadata_after_renaming(
    viewer: ViewerModel, prompts: PromptLayers, image: Image
):
    points = prompts.points(image, DISC)
    points.add([20, 30])
    points.name, image.name = "something", "something else"
    count = len(viewer.layers)
    prompts.close()
    another = PromptLayers(viewer)
    assert another.points(image, DISC) is points
    assert len(viewer.layers) == count
    assert another.at(KEY).points == (PointPrompt(30, 20),)


def test_adopted_layers_take_the_current_point_label(
    viewer: ViewerModel, prompts: PromptLayers, image: Image
):
    points = prompts.points(image, DISC)
    prompts.set_positive(False)
    prompts.close()
    another = PromptLayers(viewer)
    assert another.adopt()
    points.add([20, 30])
    assert another.at(KEY).points == (PointPrompt(30, 20, positive=another.positive),)


def test_adopted_prompts_cannot_be_undone(viewer: ViewerModel, prompts: PromptLayers, image: Image):
    """Their prediction may be accepted: undo would bring a preview back over its mask."""
    points = prompts.points(image, DISC)
    points.add([20, 30])
    prompts.close()
    another = PromptLayers(viewer)
    assert another.adopt()
    assert not another.undo(KEY)
    points.add([50, 40])
    assert another.undo(KEY)
    assert another.at(KEY).points == (PointPrompt(30, 20),)


def test_copy_of_a_prompt_layer_is_ignored(
    viewer: ViewerModel, prompts: PromptLayers, image: Image
):
    points = prompts.points(image, DISC)
    points.add([20, 30])
    copy = viewer.add_layer(Layer.create(*points.as_layer_data_tuple()))
    assert not prompts.adopt()
    assert not prompts.has(copy)
    points.add([50, 40])
    copy.add([60, 60])
    assert prompts.at(KEY).points == (PointPrompt(30, 20), PointPrompt(40, 50))
    prompts.undo(KEY)
    assert len(copy.data) == 2


def test_creating_prompt_layers_keeps_the_active_tool(
    viewer: ViewerModel, prompts: PromptLayers, image
):
    labels = viewer.add_labels(np.zeros(image.data.shape[:2], np.uint8))
    labels.mode = "paint"
    prompts.points(image, DISC)
    prompts.boxes(image, DISC)
    assert viewer.layers.selection.active is labels
    assert labels.mode == "paint"


def test_layer_is_created_when_its_tool_is_first_used(
    viewer: ViewerModel, prompts: PromptLayers, image: Image
):
    count = len(viewer.layers)
    prompts.use(image, DISC, "point")
    assert [type(one) for one in viewer.layers[count:]] == [Points]
    prompts.use(image, DISC, "box")
    prompts.use(image, DISC, "point")
    assert [type(one) for one in viewer.layers[count:]] == [Points, Shapes]


def test_box_of_a_reopened_image_is_restored_by_any_tool(
    viewer: ViewerModel, prompts: PromptLayers, tmp_path: Path
):
    viewer.layers.clear()
    image = viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.boxes(image, DISC).add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])])
    viewer.layers.clear()
    prompts.forget_missing()
    viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.use(viewer.layers["eye"], DISC, "point")
    assert [one.nshapes for one in viewer.layers if isinstance(one, Shapes)] == [1]


def test_deleting_a_layer_deletes_its_prompts(
    viewer: ViewerModel, prompts: PromptLayers, image: Image
):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    points.add([20, 30])
    boxes.add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])], shape_type="rectangle")
    viewer.layers.remove(points)
    prompts.forget_missing()
    assert prompts.at(KEY).points == ()
    assert prompts.at(KEY).box is not None


def test_box_converted_to_labels_is_no_prompt(
    viewer: ViewerModel, prompts: PromptLayers, image: Image
):
    boxes = prompts.boxes(image, DISC)
    boxes.add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])], shape_type="rectangle")
    labels = Labels(boxes.to_labels(image.data.shape[:2]), metadata=boxes.metadata)
    viewer.layers.remove(boxes)
    viewer.add_layer(labels)
    prompts.forget_missing()
    prompts.use(image, DISC, "box")
    assert not prompts.has(labels)
    assert isinstance(viewer.layers.selection.active, Shapes)


def test_prompts_leave_and_return_with_their_image(
    viewer: ViewerModel, prompts: PromptLayers, image: Image
):
    prompts.points(image, DISC).add([20, 30])
    masks = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    viewer.layers.remove(image)
    prompts.forget_missing()
    assert list(viewer.layers) == masks
    viewer.add_layer(image)
    np.testing.assert_array_equal(prompts.points(image, DISC).data, [(20, 30)])


def test_prompts_of_a_removed_image_are_kept_for_its_file(
    viewer: ViewerModel, prompts: PromptLayers, tmp_path: Path
):
    viewer.layers.clear()
    image = viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.points(image, DISC).add([20, 30])
    viewer.layers.clear()
    prompts.forget_missing()
    viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    points = prompts.points(viewer.layers["eye"], DISC)
    np.testing.assert_array_equal(points.data, [(20, 30)])


def test_prompts_survive_reopening_the_image_at_once(
    viewer: ViewerModel, prompts: PromptLayers, tmp_path: Path
):
    viewer.layers.clear()
    image = viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.points(image, DISC).add([20, 30])
    changed: list[object] = []
    prompts.changed.connect(changed.append)
    viewer.layers.clear()
    viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.forget_missing()
    assert changed == []
    points = prompts.points(viewer.layers["eye"], DISC)
    np.testing.assert_array_equal(points.data, [(20, 30)])
    viewer.layers.remove(points)
    prompts.forget_missing()
    assert changed == [(str(tmp_path / "eye.png"), "disc")]


def test_layer_that_is_given_to_another_image_shows_its_prompts(
    prompts: PromptLayers, image: Image
):
    points = prompts.points(image, DISC)
    points.add([20, 30])
    for other, count in (("other", 0), ("eye", 1), ("other", 0)):
        points.metadata = with_plugin_metadata(points.metadata, image=other)
        assert len(points.data) == count
    points.add([40, 50])
    assert prompts.at(("other", "disc")).points == (PointPrompt(50, 40),)
    assert prompts.at(KEY).points == (PointPrompt(30, 20),)


def test_undo_goes_no_further_back_than_to_where_steps_were_forgotten(
    prompts: PromptLayers, image: Image
):
    points = prompts.points(image, DISC)
    points.add([20, 30])
    points.add([50, 40])
    prompts.undo(KEY)
    prompts.forget_steps(KEY)
    assert not prompts.undo(KEY)
    assert not prompts.redo(KEY)
    assert [len(one.steps) for one in prompts.histories("eye").values()] == [1]
    points.add([60, 60])
    assert prompts.undo(KEY)
    assert not prompts.undo(KEY)
    assert prompts.at(KEY).points == (PointPrompt(30, 20),)
