"""The threshold, and the answer that becomes a mask."""

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2lora.layers.metadata import plugin_metadata
from sam2lora.inference.postprocessing import LEVELS

from ..segmentation_window import Window, fundus, pick, press

pytestmark = pytest.mark.viewer


def test_the_threshold_moves_what_is_shown_and_what_is_accepted(window: Window):
    window.segment()
    threshold = window.part_the_answer()
    assert window.preview().contrast_limits[0] == pytest.approx(threshold, abs=1e-3)
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    np.testing.assert_array_equal(labels.data > 0, window.values() >= threshold)
    assert 0.2 < np.mean(labels.data[window.values() > LEVELS[0]] > 0) < 0.8
    assert not window.preview().visible
    assert window.viewer.layers.selection.active is labels
    labels.undo()
    assert not labels.data.any()


def test_the_three_ways_to_accept(window: Window):
    window.segment()
    window.part_the_answer()
    answer = window.session.results.mask(window.session.target_key)
    yes, no = np.argwhere(answer)[0], np.argwhere(~answer)[0]
    for mode, expected in (
        ("empty", {tuple(yes): 7, tuple(no): 7}),
        ("add", {tuple(yes): 2, tuple(no): 7}),
        ("replace", {tuple(yes): 2, tuple(no): 0}),
    ):
        if mode == "empty":
            press(window.dock, "Accept")
            labels = window.viewer.layers["photo disc"]
            for place in (yes, no):
                labels.data_setitem(tuple(np.array([n]) for n in place), 7)
        pick(window.dock.threshold.mode, mode)
        press(window.dock, "Accept")
        assert {place: labels.data[place] for place in expected} == expected
        if mode == "replace":
            np.testing.assert_array_equal(labels.data > 0, answer)


def test_accepting_nothing_says_so(window: Window):
    press(window.dock, "Accept")
    assert "no result to accept" in window.messages[-1]


def test_accept_writes_into_no_mask_named_after_another_image(open_window):
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
    said = len(window.messages)
    press(window.dock, "Accept")
    window.session.measure()  # two layers do not show one target
    assert not any("Two layers" in words for words in window.messages[said:])


def test_accept_adopts_an_unlinked_mask_of_the_only_image(open_window):
    theirs = Labels(np.zeros((200, 200), np.uint8), name="my disc")
    window = open_window(fundus(), theirs)
    pick(window.dock.targets.images, "photo")
    window.segment()
    press(window.dock, "Accept")
    assert window.viewer.layers.selection.active is theirs
    about = plugin_metadata(theirs.metadata)
    assert (about["image"], about["target"]) == window.session.target_key
    window.viewer.add_layer(fundus("another", 1))
    pick(window.dock.targets.images, "photo")
    press(window.dock, "Accept")
    assert "photo disc" not in window.viewer.layers
