"""Refused prompts are removed, the others kept; errors of several targets are all shown."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam2lora.layers.metadata import METADATA_KEY
from napari_sam2lora.segmentation.requests import ModelChoice
from sam2lora.targets import TARGETS

from ..helpers import pick, press
from ..segmentation_window import WAIT, Held, Window

pytestmark = pytest.mark.viewer
OUTSIDE = (1, 1)


@pytest.fixture
def resume(hold: Callable[[], Held]) -> threading.Event:
    """Hold requests back until this is set."""
    return hold().resume


def shown_points(window: Window) -> list[tuple[float, float]]:
    """Return the points of the layer, after checking that they are those of the session."""
    shown = [(x, y) for y, x in window.points().data]
    points = window.session.prompts.at(window.session.target_key).points
    assert shown == [(point.x, point.y) for point in points]
    return shown


def segmented_points(window: Window) -> list[tuple[float, float]]:
    """Return the points of the last result."""
    return [(point.x, point.y) for point in window.session.result.request.prompts.points]


@pytest.mark.parametrize(
    "points",
    [
        [(90, 90), (100, 100), OUTSIDE],
        [OUTSIDE, (90, 90), (100, 100)],
        [(90, 90), OUTSIDE, (100, 100), (2, 1)],
    ],
)
def test_only_points_outside_the_field_of_view_are_removed(
    window: Window, resume: threading.Event, points: list[tuple[float, float]]
):
    press(window.dock, "Segment")
    for x, y in points:
        window.click(x, y)
    resume.set()
    window.idle()
    assert any("outside the field of view" in message for message in window.messages)
    assert shown_points(window) == [(90, 90), (100, 100)]
    assert segmented_points(window) == [(90, 90), (100, 100)]
    with window.wait_result():
        press(window.dock, "Undo")
    assert shown_points(window) == segmented_points(window) == [(90, 90)]


def test_box_outside_the_field_of_view_is_removed_and_points_stay(window: Window):
    window.segment()
    with window.wait_result():
        window.click(90, 90)
    boxes = window.session.prompts.boxes(window.session.image, window.session.target)
    with window.qtbot.waitSignal(window.session.message, timeout=WAIT):
        boxes.add([np.array([(0, 0), (0, 5), (5, 5), (5, 0)])], shape_type="rectangle")
    window.qtbot.waitUntil(lambda: boxes.nshapes == 0)
    assert window.session.prompts.at(window.session.target_key).box is None
    assert shown_points(window) == [(90, 90)]


def test_unfitting_painted_mask_removes_no_point(window: Window):
    window.segment()
    metadata = {"image": window.session.target_key[0], "target": "disc"}
    mask = Labels(np.ones((9, 9), np.uint8), name="small", metadata={METADATA_KEY: metadata})
    window.viewer.add_layer(mask)
    window.dock.prompts.use_mask.click()
    with window.qtbot.waitSignal(window.session.message, timeout=WAIT):
        window.click(90, 90)
    assert "painted mask has shape" in window.messages[-1]
    assert shown_points(window) == [(90, 90)]


def test_error_of_one_target_stays_while_others_are_segmented(window: Window):
    window.session.choices.set_choice(
        TARGETS["vessel"], ModelChoice(adapter="gone", detail="whole")
    )
    press(window.dock, "Segment all")
    window.idle()
    assert {target for _, target in window.session.results.latest} == {"disc", "cup"}
    shown = window.dock.progress.message
    assert shown.text().startswith("vessel: ")
    assert "gone" in shown.text()
    window.segment()  # the disc again
    assert "gone" in shown.text()
    window.session.choices.set_choice(TARGETS["vessel"], ModelChoice(detail="whole"))
    pick(window.dock.targets.targets, "vessel")
    window.segment()
    assert shown.text() == ""


def test_errors_of_several_targets_are_all_shown(window: Window):
    for name in ("vessel", "cup"):
        window.session.choices.set_choice(
            TARGETS[name], ModelChoice(adapter=f"no-{name}", detail="whole")
        )
    press(window.dock, "Segment all")
    window.idle()
    assert "no-vessel" in window.dock.progress.message.text()
    assert "no-cup" in window.dock.progress.message.text()
