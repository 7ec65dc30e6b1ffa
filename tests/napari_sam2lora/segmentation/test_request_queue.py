"""Answers while others are asked for: where they belong, what ends them, and which one wins."""

from collections.abc import Callable

import numpy as np
import pytest

from napari_sam2lora.layers.metadata import plugin_metadata

from ..segmentation_window import WAIT, Held, Window, fundus, pick, press

pytestmark = pytest.mark.viewer


def test_switching_images_while_it_works_keeps_answers_where_they_belong(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    pick(window.dock.targets.images, "left")
    press(window.dock, "Segment")
    pick(window.dock.targets.images, "right")
    press(window.dock, "Segment")
    window.idle()
    for name in ("left", "right"):
        layer = window.session.results.previews.find((name, "disc"))
        assert plugin_metadata(layer.metadata)["image"] == name
        np.testing.assert_array_equal(
            layer.data, window.session.results.latest[name, "disc"].segmented.probabilities
        )


def test_the_image_may_be_deleted_while_it_works(window: Window):
    press(window.dock, "Segment")
    window.viewer.layers.remove("photo")
    window.idle()
    assert window.session.image is None
    assert window.session.results.previews.find(("photo", "disc")) is None
    press(window.dock, "Segment")
    assert "Open a fundus photograph" in window.messages[-1]


def test_a_defect_in_the_model_is_shown_and_the_next_answer_comes(
    window: Window, notices: list[str], monkeypatch: pytest.MonkeyPatch
):
    window.segment()
    with monkeypatch.context() as patch:
        patch.setattr("sam2lora.inference.predictor.Predictor.predict", lambda *_, **__: 1 / 0)
        with window.qtbot.waitSignal(window.session.queue.worker.failed, timeout=WAIT):
            press(window.dock, "Segment")
    assert "ZeroDivisionError" in window.words()
    assert "division by zero" in " ".join(notices)
    window.segment()
    assert "ZeroDivisionError" not in window.words()


def test_cancel_stops_and_it_can_go_on(window: Window, hold: Callable[[], Held]):
    window.segment()
    held = hold()
    press(window.dock, "Segment")
    window.qtbot.waitUntil(held.begun.is_set, timeout=WAIT)
    window.cancel()
    with window.qtbot.waitSignal(window.session.queue.worker.stopped, timeout=WAIT):
        held.go_on.set()
    assert window.messages[-1] == "Cancelled."
    window.segment()


def test_the_newest_prompt_wins(window: Window, hold: Callable[[], Held]):
    window.segment()
    held = hold()
    window.click(60, 60)
    window.qtbot.waitUntil(held.begun.is_set, timeout=WAIT)
    for number in range(4):
        window.click(70 + number, 60)
    held.go_on.set()
    window.idle()
    assert held.clicks == [1, 5]
    assert len(window.session.result.request.prompts.points) == 5
