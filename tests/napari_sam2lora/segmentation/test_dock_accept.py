"""The threshold, and the answer that becomes a mask."""

import numpy as np
import pytest

from sam2lora.inference.postprocessing import LEVELS

from ..segmentation_window import Window, pick, press

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
    assert "no answer to accept" in window.messages[-1]
