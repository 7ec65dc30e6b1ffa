"""Photographs with the same name or file: each has its own prompts, answers and masks."""

import numpy as np
import pytest
from napari.layers import Layer

from napari_sam2lora.layers.lookup import masks_of_image
from napari_sam2lora.layers.metadata import image_id, plugin_metadata

from ..segmentation_window import Window, fundus, press

pytestmark = pytest.mark.viewer


def duplicate(window: Window, *names: str) -> list[Layer]:
    """Copy layers as the menu of napari's list of layers does."""
    layers = window.viewer.layers
    copies = []
    for name in names:
        data, options, kind = layers[name].as_layer_data_tuple()
        copy = Layer.create(np.array(data), {**options, "name": f"{name} copy"}, kind)
        layers.insert(layers.index(name) + 1, copy)
        copies.append(copy)
    return copies


@pytest.mark.parametrize("file", ["photo.png", None])
def test_a_copy_is_another_image(open_window, tmp_path, file: str | None):
    original = fundus(path=file and tmp_path / file)
    window = open_window(original)
    window.segment()
    with window.wait_result():
        window.click(60, 80)
    press(window.dock, "Accept")
    first = window.session.target_key
    copy, mask = duplicate(window, "photo", "photo disc")
    window.viewer.layers.selection.active = copy
    window.qtbot.waitUntil(lambda: window.session.image is copy)
    assert window.session.target_key != first
    assert window.session.prompts.at(window.session.target_key).empty
    window.segment()
    assert window.session.image is copy
    assert window.session.result.request.image.source is copy.data
    assert len(window.session.results.latest) == 2
    assert masks_of_image(window.viewer, copy) == [mask]
    assert masks_of_image(window.viewer, original) == [window.viewer.layers["photo disc"]]
    assert window.dock.targets.images.count() == 2


def test_a_copy_may_bring_prompts_and_its_answer_along(window: Window):
    window.segment()
    with window.wait_result():
        window.click(60, 80)
    first, points = window.session.target_key, window.points()
    window.session.prompts.boxes(window.session.image, window.session.target)
    names = ("photo", "photo disc points", "photo disc box", "photo disc preview")
    copy, copied, _, preview = duplicate(window, *names)
    window.viewer.layers.selection.active = copy
    window.qtbot.waitUntil(lambda: window.session.prompts.has(copied))
    assert window.session.image is copy
    second = window.session.target_key
    assert window.preview() is preview
    assert window.points() is copied
    with window.wait_result():
        copied.add([90, 70])
    assert len(window.session.prompts.at(second).points) == 2
    with window.wait_result():
        points.add([110, 70])
    clicks = [(one.x, one.y) for one in window.session.prompts.at(first).points]
    assert clicks == [(60, 80), (70, 110)]


def test_the_same_object_that_comes_back_has_its_prompts(window: Window):
    image = window.viewer.layers["photo"]
    window.segment()
    with window.wait_result():
        window.click(60, 80)
    window.viewer.layers.remove(image)
    window.qtbot.waitUntil(lambda: not window.viewer.layers)  # nothing of it stays in the list
    window.viewer.add_layer(image)
    window.qtbot.waitUntil(lambda: window.session.image is image)
    assert len(window.session.prompts.at(window.session.target_key).points) == 1
    np.testing.assert_array_equal(window.points().data, [(80, 60)])
    assert window.points().visible


def test_another_image_of_the_same_name_has_nothing_of_the_first(window: Window):
    window.segment()
    with window.wait_result():
        window.click(60, 80)
    press(window.dock, "Accept")
    window.viewer.layers.remove("photo")
    window.qtbot.waitUntil(lambda: window.session.image is None)
    other = window.viewer.add_layer(fundus(seed=1))
    window.qtbot.waitUntil(lambda: window.session.image is other)
    assert window.session.prompts.at(window.session.target_key).empty
    assert masks_of_image(window.viewer, other) == []
    window.segment()
    assert window.session.result.request.prompts.empty
    assert len(window.points().data) == 0


def test_masks_that_come_along_stay_with_their_image(open_window, make_napari_viewer):
    window = open_window()
    for _ in range(2):
        window.viewer.layers.clear()
        window.qtbot.waitUntil(lambda: window.session.image is None)
        opened = window.viewer.open_sample("napari-sam2lora", "healthy")
        image, *masks = opened
        key = image_id(image.metadata, image.name)
        assert {plugin_metadata(mask.metadata)["image"] for mask in masks} == {key}
        assert masks_of_image(window.viewer, image) == masks


def test_an_answer_that_is_not_shown_is_spoken_of(window: Window):
    press(window.dock, "Segment")
    image = window.viewer.layers["photo"]
    image.data = image.data.copy()
    window.idle()
    assert "closed or changed" in " ".join(window.messages)
