"""Answers to what is no longer asked: they are never written into a mask."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.targets import TARGETS

from ..segmentation_window import WAIT, Held, Window, fundus, pick, press

pytestmark = pytest.mark.viewer
MASK = "photo disc"


@pytest.fixture
def held(window: Window, hold: Callable[[], Held]) -> threading.Event:
    """Answer once, and hold the next answers back until this is set."""
    window.segment()
    return hold().go_on


def test_the_answer_before_a_click_is_not_accepted(window: Window, held: threading.Event):
    window.click(60, 80)
    press(window.dock, "Accept")
    assert MASK not in window.viewer.layers
    assert "still being computed" in window.messages[-1]
    held.set()
    window.idle()
    press(window.dock, "Accept")
    assert MASK in window.viewer.layers
    assert len(window.session.result.request.prompts.points) == 1


def test_nor_is_it_after_cancelling_and_it_looks_old(window: Window, held: threading.Event):
    usual = window.preview().opacity
    window.click(60, 80)
    assert window.preview().opacity == usual
    window.cancel()
    with window.qtbot.waitSignal(window.session.queue.worker.stopped, timeout=WAIT):
        held.set()
    assert window.preview().opacity < usual
    press(window.dock, "Accept")
    assert MASK not in window.viewer.layers
    assert "Press Segment" in window.messages[-1]
    window.segment()
    assert window.preview().opacity == usual
    press(window.dock, "Accept")
    assert MASK in window.viewer.layers


def test_an_undone_click_that_was_cancelled_leaves_the_answer_good(
    window: Window, held: threading.Event
):
    window.click(60, 80)
    window.cancel()
    with window.qtbot.waitSignal(window.session.queue.worker.stopped, timeout=WAIT):
        held.set()
    press(window.dock, "Undo")
    assert not window.session.queue.worker.busy
    assert window.preview().opacity == pytest.approx(0.75)
    press(window.dock, "Accept")
    assert MASK in window.viewer.layers


def test_nor_is_the_answer_of_another_model_or_choice(window: Window):
    window.segment()
    usual = window.preview().opacity
    window.session.choices.set_choice(TARGETS["disc"], ModelChoice(detail="zoom"))
    assert window.preview().opacity < usual
    press(window.dock, "Accept")
    assert MASK not in window.viewer.layers
    window.session.choices.set_choice(TARGETS["disc"], ModelChoice(detail="whole"))
    window.session.choices.set_compute("tiny")
    press(window.dock, "Accept")
    assert MASK not in window.viewer.layers
    assert "older than the current settings" in window.messages[-1]
    window.session.choices.set_compute("nano")
    assert window.preview().opacity == usual
    press(window.dock, "Accept")
    assert MASK in window.viewer.layers


def test_nor_is_one_that_started_from_another_mask(window: Window):
    window.segment()
    usual = window.preview().opacity
    window.dock.prompts.use_mask.click()
    assert window.preview().opacity < usual
    press(window.dock, "Accept")
    assert MASK not in window.viewer.layers
    window.segment()
    assert window.preview().opacity == usual
    press(window.dock, "Accept")
    assert MASK in window.viewer.layers


def test_a_mask_that_may_be_another_images_is_left_alone(open_window):
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


def test_a_mask_of_the_only_image_becomes_its_own(open_window):
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
