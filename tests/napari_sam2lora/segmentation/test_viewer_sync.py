"""Layers that are selected, renamed, reordered, deleted and opened again."""

import numpy as np
import pytest

from sam2lora.targets import TARGETS

from ..helpers import pick, press
from ..segmentation_window import Window, fundus

pytestmark = pytest.mark.viewer


def test_prompts_and_previews_of_other_images_are_hidden(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    pick(window.dock.targets.images, "left")
    window.segment()
    with window.wait_result():
        window.click(60, 60)
    pick(window.dock.targets.images, "right")
    assert not window.viewer.layers["left disc points"].visible
    assert not window.viewer.layers["left disc preview"].visible
    window.segment()
    assert window.session.target_key == ("right", "disc")
    assert window.session.prompts.at(("right", "disc")).empty
    assert len(window.session.prompts.at(("left", "disc")).points) == 1
    pick(window.dock.targets.images, "left")
    assert window.preview().visible
    window.viewer.layers.remove("left")
    window.qtbot.waitUntil(lambda: "left disc preview" not in window.viewer.layers)
    assert window.preview().visible  # that of the other image


def test_chosen_image_is_moved_to_the_front_with_its_layers(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    viewer = window.viewer
    pick(window.dock.targets.images, "left")
    window.segment()
    window.click(60, 60)
    pick(window.dock.targets.images, "right")
    viewer.layers["left"].visible = False
    names = [layer.name for layer in viewer.layers]
    assert names[-1] == "right"
    pick(window.dock.targets.images, "left")
    assert viewer.layers["left"].visible
    assert [layer.name for layer in viewer.layers] == ["right", *names[:-1]]
    assert viewer.layers.selection.active.name in ("left", "left disc points")
    pick(window.dock.targets.images, "left")  # it is in front already
    assert [layer.name for layer in viewer.layers] == ["right", *names[:-1]]


def test_renamed_and_reordered_layers_are_found(window: Window):
    window.segment()
    viewer = window.viewer
    for layer in list(viewer.layers):
        layer.name = f"{layer.name} renamed"
    viewer.layers.move(len(viewer.layers) - 1, 0)
    count = len(viewer.layers)
    with window.wait_result():
        window.click(80, 80)
    assert len(viewer.layers) == count
    press(window.dock, "Accept")
    press(window.dock, "Accept")
    assert len(viewer.layers) == count + 1
    assert window.dock.targets.images.currentText() == "photo renamed"


def test_deleted_layers_are_created_again(window: Window):
    window.segment()
    with window.wait_result():
        window.click(80, 80)
    viewer = window.viewer
    viewer.layers.remove(window.preview())
    viewer.layers.remove("photo disc points")
    window.qtbot.waitUntil(lambda: window.session.prompts.at(("photo", "disc")).empty)
    window.segment()
    assert window.preview().visible
    assert "photo disc points" in viewer.layers


def test_undo_restores_a_deleted_prompt_layer(window: Window):
    window.segment()
    for x in (80, 90):
        with window.wait_result():
            window.click(x, 80)
    window.viewer.layers.remove(window.points())
    window.qtbot.waitUntil(lambda: window.session.prompts.at(window.session.target_key).empty)
    window.idle()
    with window.wait_result():
        press(window.dock, "Undo")
    np.testing.assert_array_equal(window.points().data, [(80, 80), (80, 90)])
    with window.wait_result():
        window.click(100, 80)
    assert len(window.session.prompts.at(window.session.target_key).points) == 3
    boxes = window.session.prompts.boxes(window.session.image, TARGETS["disc"])
    with window.wait_result():
        boxes.add([np.array([(60, 60), (60, 140), (140, 140), (140, 60)])], shape_type="rectangle")
    with window.wait_result():
        window.viewer.layers.remove(boxes)
    with window.wait_result():
        press(window.dock, "Undo")
    assert len(window.points().data) == 3
    assert window.viewer.layers["photo disc box"].nshapes == 1


def test_reopened_image_has_its_prompts(window: Window, tmp_path):
    viewer = window.viewer
    viewer.layers.clear()
    layer = fundus(path=tmp_path / "a.png")
    viewer.add_layer(layer)
    window.qtbot.waitUntil(lambda: window.session.image is layer)
    window.segment()
    with window.wait_result():
        window.click(80, 70)
    for each in list(viewer.layers):
        viewer.layers.remove(each)
    window.qtbot.waitUntil(lambda: window.session.image is None)
    viewer.add_layer(fundus(path=tmp_path / "a.png"))
    window.qtbot.waitUntil(lambda: window.session.image is not None)
    window.segment()
    points = viewer.layers["photo disc points"]
    np.testing.assert_array_equal(points.data, [(70, 80)])
