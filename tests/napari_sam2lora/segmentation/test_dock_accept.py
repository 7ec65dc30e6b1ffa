"""The threshold, and accepting the prediction as a mask."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2lora.layers.metadata import plugin_metadata
from sam2lora.inference.postprocessing import LEVELS

from ..helpers import pick, press
from ..segmentation_window import Window, fundus

pytestmark = pytest.mark.viewer


def test_threshold_changes_preview_and_accepted_mask(window: Window):
    window.segment()
    threshold = window.split_the_preview()
    assert window.preview().contrast_limits[0] == pytest.approx(threshold, abs=1e-3)
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    np.testing.assert_array_equal(labels.data > 0, window.values() >= threshold)
    assert 0.2 < np.mean(labels.data[window.values() > LEVELS[0]] > 0) < 0.8
    assert not window.preview().visible
    assert window.viewer.layers.selection.active is labels
    labels.undo()
    assert not labels.data.any()


def test_accept_modes_replace_add_and_fill_empty(window: Window):
    window.segment()
    window.split_the_preview()
    predicted = window.session.results.mask(window.session.target_key)
    inside, outside = (tuple(np.argwhere(mask)[0]) for mask in (predicted, ~predicted))
    for mode, expected in (
        ("empty", {inside: 7, outside: 7}),
        ("add", {inside: 2, outside: 7}),
        ("replace", {inside: 2, outside: 0}),
    ):
        if mode == "empty":
            press(window.dock, "Accept")
            labels = window.viewer.layers["photo disc"]
            for pixel in (inside, outside):
                labels.data_setitem(tuple(np.array([n]) for n in pixel), 7)
        pick(window.dock.threshold.mode, mode)
        press(window.dock, "Accept")
        assert {pixel: labels.data[pixel] for pixel in expected} == expected
        if mode == "replace":
            np.testing.assert_array_equal(labels.data > 0, predicted)


def test_accept_without_result_is_explained(window: Window):
    press(window.dock, "Accept")
    assert "no result to accept" in window.messages[-1]


def test_accept_ignores_a_mask_named_after_another_image(open_window):
    theirs = Labels(np.full((200, 200), 3, np.uint8), name="left disc")
    window = open_window(fundus("left"), fundus("right", 1), theirs)
    pick(window.dock.targets.images, "right")
    window.segment()
    window.dock.threshold.number.setValue(0.0)
    press(window.dock, "Accept")
    assert (theirs.data == 3).all()
    assert "image" not in plugin_metadata(theirs.metadata)
    assert (
        plugin_metadata(window.viewer.layers["right disc"].metadata)["image"]
        == window.session.target_key[0]
    )
    count = len(window.messages)
    press(window.dock, "Accept")
    window.session.measure()  # two layers do not show one target
    assert not any("Two layers" in message for message in window.messages[count:])


def test_accept_adopts_an_unlinked_mask_of_the_only_image(open_window):
    theirs = Labels(np.zeros((200, 200), np.uint8), name="my disc")
    window = open_window(fundus(), theirs)
    pick(window.dock.targets.images, "photo")
    window.segment()
    press(window.dock, "Accept")
    assert window.viewer.layers.selection.active is theirs
    metadata = plugin_metadata(theirs.metadata)
    assert (metadata["image"], metadata["target"]) == window.session.target_key
    window.viewer.add_layer(fundus("another", 1))
    pick(window.dock.targets.images, "photo")
    press(window.dock, "Accept")
    assert "photo disc" not in window.viewer.layers


@pytest.mark.parametrize("button", ["Accept", "Accept all"])
def test_undo_after_accept_brings_no_earlier_preview_back(window: Window, button: str):
    window.segment()
    with window.wait_result():
        window.click(60, 80)
    window.split_the_preview()
    press(window.dock, button)
    labels = window.viewer.layers["photo disc"]
    accepted = labels.data.copy()
    for undo in (lambda: press(window.dock, "Undo"), window.dock.undo, window.dock.redo):
        undo()
        window.idle()
        assert not window.preview().visible
    assert "no prompt to undo. In a mask, Ctrl+Z undoes Accept" in window.messages[-1]
    np.testing.assert_array_equal(labels.data, accepted)
    assert len(window.points().data) == 1
    window.dock.use_points()
    with window.wait_result():
        window.click(120, 90)
    with window.wait_result():
        press(window.dock, "Undo")
    window.dock.undo()
    assert len(window.points().data) == 1
    assert window.messages[-1] == "There is no prompt to undo. In a mask, Ctrl+Z undoes Accept."
