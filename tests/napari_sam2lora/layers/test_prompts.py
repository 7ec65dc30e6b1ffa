"""Layers of prompts, found again, undone, and told from one another."""

from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Image, Labels, Layer, Points, Shapes
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.metadata import ensure_image_id, plugin_metadata
from napari_sam2lora.layers.prompt_conversion import NEGATIVE, POSITIVE
from napari_sam2lora.layers.prompts import PromptLayers
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.targets import TARGETS

from ..conftest import disk, eye

pytestmark = pytest.mark.viewer
DISC, CUP = TARGETS["disc"], TARGETS["cup"]
PLACE = ("eye", "disc")


@pytest.fixture
def viewer(make_napari_viewer) -> Viewer:
    viewer = make_napari_viewer()
    viewer.add_layer(eye(spacing=(0.01, 0.02))[0])
    return viewer


@pytest.fixture
def prompts(viewer: Viewer) -> PromptLayers:
    return PromptLayers(viewer)


@pytest.fixture
def image(viewer: Viewer) -> Image:
    return viewer.layers["eye"]


def test_rows_and_columns_become_x_and_y(prompts: PromptLayers, image: Image):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    changed: list[object] = []
    prompts.changed.connect(changed.append)
    points.add([20.25, 30.5])
    prompts.set_positive(False)
    points.add([50, 40])
    boxes.add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])], shape_type="rectangle")
    said = prompts.at(PLACE)
    assert said.points == (PointPrompt(30.5, 20.25), PointPrompt(40, 50, positive=False))
    assert said.box == (20, 10, 60, 70)
    assert changed == [PLACE] * 3
    assert [tuple(color[:3].round(2)) for color in points.face_color] == [
        tuple(np.round([int(one[n : n + 2], 16) / 255 for n in (1, 3, 5)], 2))
        for one in (POSITIVE, NEGATIVE)
    ]
    assert list(points.features["positive"]) == [True, False]
    np.testing.assert_allclose(points.scale, image.scale)


def test_every_step_can_be_undone_and_made_again(prompts: PromptLayers, image: Image):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    assert not prompts.undo(PLACE)
    points.add([20, 30])
    boxes.add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])], shape_type="rectangle")
    points.data = np.array([[25.0, 35.0]])  # moved
    for clicks, box in (
        ((PointPrompt(30, 20),), True),
        ((PointPrompt(30, 20),), False),
        ((), False),
    ):
        assert prompts.undo(PLACE)
        assert (prompts.at(PLACE).points, prompts.at(PLACE).box is not None) == (clicks, box)
        assert (len(points.data), len(boxes.data)) == (len(clicks), int(box))
    for _ in range(3):
        assert prompts.redo(PLACE)
    assert not prompts.redo(PLACE)
    assert prompts.at(PLACE).points == (PointPrompt(35, 25),)
    prompts.clear(PLACE)
    assert prompts.at(PLACE).empty
    assert len(points.data) == 0
    assert prompts.undo(PLACE)
    assert prompts.at(PLACE).box == (20, 10, 60, 70)


def test_signs_survive_undoing(prompts: PromptLayers, image: Image):
    points = prompts.points(image, DISC)
    for number, positive in enumerate((False, True, False)):
        prompts.set_positive(positive)
        points.add([20 + number, 30])
    prompts.undo(PLACE)
    prompts.undo(PLACE)
    prompts.redo(PLACE)
    assert list(points.features["positive"]) == [False, True]


def test_the_newest_box_counts_and_a_click_is_none(
    prompts: PromptLayers, image: Image, qtbot: QtBot
):
    boxes = prompts.boxes(image, DISC)
    for left in (20, 30):
        corners = np.array([(10, left), (10, 60), (70, 60), (70, left)])
        boxes.add([corners], shape_type="rectangle")
    boxes.add([np.array([(10, 5), (10, 6), (11, 6), (11, 5)])], shape_type="rectangle")
    assert prompts.at(PLACE).box == (30, 10, 60, 70)
    qtbot.waitUntil(lambda: len(boxes.data) == 1)
    assert prompts.at(PLACE).box == (30, 10, 60, 70)


def test_what_lies_outside_goes_from_every_step(prompts: PromptLayers, image: Image):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    points.add([0, 0])
    points.add([20, 30])
    boxes.add([np.array([(0, 0), (0, 4), (4, 4), (4, 0)])], shape_type="rectangle")
    points.add([50, 50])
    prompts.undo(PLACE)
    changed: list[object] = []
    prompts.changed.connect(changed.append)
    prompts.keep_inside(PLACE, disk(40))
    assert prompts.at(PLACE).points == (PointPrompt(30, 20),)
    assert prompts.at(PLACE).box is None
    assert (len(points.data), boxes.nshapes) == (1, 0)
    assert changed == [PLACE]
    prompts.keep_inside(PLACE, disk(40))
    assert changed == [PLACE]
    assert prompts.redo(PLACE)
    assert prompts.at(PLACE).points == (PointPrompt(30, 20), PointPrompt(50, 50))
    assert prompts.undo(PLACE)
    assert prompts.undo(PLACE)
    assert not prompts.undo(PLACE)
    assert prompts.at(PLACE).empty
    prompts.keep_inside(("another", "disc"), disk(40))


def test_each_target_has_its_own_and_others_are_hidden(prompts: PromptLayers, image: Image):
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


def test_layers_are_found_by_what_is_noted_whatever_their_names(
    viewer: Viewer, prompts: PromptLayers, image: Image
):
    points = prompts.points(image, DISC)
    points.add([20, 30])
    points.name, image.name = "something", "something else"
    count = len(viewer.layers)
    prompts.close()
    another = PromptLayers(viewer)
    assert another.points(image, DISC) is points
    assert len(viewer.layers) == count
    assert another.at(PLACE).points == (PointPrompt(30, 20),)


def test_layers_that_are_there_already_take_the_sign_that_is_shown(
    viewer: Viewer, prompts: PromptLayers, image: Image
):
    points = prompts.points(image, DISC)
    prompts.set_positive(False)
    prompts.close()
    another = PromptLayers(viewer)
    assert another.adopt()
    points.add([20, 30])
    assert another.at(PLACE).points == (PointPrompt(30, 20, positive=another.positive),)


def test_a_copy_of_a_layer_says_nothing(viewer: Viewer, prompts: PromptLayers, image: Image):
    points = prompts.points(image, DISC)
    points.add([20, 30])
    copy = viewer.add_layer(Layer.create(*points.as_layer_data_tuple()))
    assert not prompts.adopt()
    assert not prompts.has(copy)
    points.add([50, 40])
    copy.add([60, 60])
    assert prompts.at(PLACE).points == (PointPrompt(30, 20), PointPrompt(40, 50))
    prompts.undo(PLACE)
    assert len(copy.data) == 2


def test_making_layers_leaves_the_users_tool_alone(viewer: Viewer, prompts: PromptLayers, image):
    labels = viewer.add_labels(np.zeros(image.data.shape[:2], np.uint8))
    labels.mode = "paint"
    prompts.points(image, DISC)
    prompts.boxes(image, DISC)
    assert viewer.layers.selection.active is labels
    assert labels.mode == "paint"


def test_a_layer_is_made_when_its_tool_is_first_used(
    viewer: Viewer, prompts: PromptLayers, image: Image
):
    count = len(viewer.layers)
    prompts.use(image, DISC, "point")
    assert [type(one) for one in viewer.layers[count:]] == [Points]
    prompts.use(image, DISC, "box")
    prompts.use(image, DISC, "point")
    assert [type(one) for one in viewer.layers[count:]] == [Points, Shapes]


def test_a_box_comes_back_with_its_image_whichever_tool_is_used(
    viewer: Viewer, prompts: PromptLayers, tmp_path: Path
):
    viewer.layers.clear()
    image = viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.boxes(image, DISC).add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])])
    viewer.layers.clear()
    prompts.forget_missing()
    viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.use(viewer.layers["eye"], DISC, "point")
    assert [one.nshapes for one in viewer.layers if isinstance(one, Shapes)] == [1]


def test_a_layer_that_is_deleted_takes_its_prompts_along(
    viewer: Viewer, prompts: PromptLayers, image: Image
):
    points, boxes = prompts.points(image, DISC), prompts.boxes(image, DISC)
    points.add([20, 30])
    boxes.add([np.array([(10, 20), (10, 60), (70, 60), (70, 20)])], shape_type="rectangle")
    viewer.layers.remove(points)
    prompts.forget_missing()
    assert prompts.at(PLACE).points == ()
    assert prompts.at(PLACE).box is not None


def test_a_box_that_was_turned_into_labels_is_none_any_more(
    viewer: Viewer, prompts: PromptLayers, image: Image
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


def test_prompts_leave_with_their_image_and_come_back_as_they_were(
    viewer: Viewer, prompts: PromptLayers, image: Image
):
    prompts.points(image, DISC).add([20, 30])
    masks = [layer for layer in viewer.layers if isinstance(layer, Labels)]
    viewer.layers.remove(image)
    prompts.forget_missing()
    assert list(viewer.layers) == masks
    viewer.add_layer(image)
    np.testing.assert_array_equal(prompts.points(image, DISC).data, [(20, 30)])


def test_prompts_of_an_image_that_left_wait_for_it(
    viewer: Viewer, prompts: PromptLayers, tmp_path: Path
):
    viewer.layers.clear()
    image = viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    prompts.points(image, DISC).add([20, 30])
    viewer.layers.clear()
    prompts.forget_missing()
    viewer.add_layer(eye(path=tmp_path / "eye.png")[0])
    points = prompts.points(viewer.layers["eye"], DISC)
    np.testing.assert_array_equal(points.data, [(20, 30)])


def test_prompts_of_an_image_that_is_opened_anew_at_once_are_not_deleted(
    viewer: Viewer, prompts: PromptLayers, tmp_path: Path
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


def test_a_key_stays_when_the_image_is_renamed(image: Image):
    assert ensure_image_id(image) == "eye"
    image.name = "other"
    assert ensure_image_id(image) == "eye"
    assert plugin_metadata(image.metadata)["fov"]  # what was noted before is there still
