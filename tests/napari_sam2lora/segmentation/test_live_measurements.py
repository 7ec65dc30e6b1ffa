"""Measurements of the current image, and their rows in the dock."""

import numpy as np
import pytest
from napari.layers import Labels
from pytestqt.qtbot import QtBot

from napari_sam2lora.segmentation.live_measurements import (
    LiveMeasurements,
    MeasurementResult,
    confidence_words,
    rows,
)
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.measurements.structures import measure

from ..conftest import bar, disk
from ..helpers import label_text, pick, press
from ..segmentation_window import WAIT, Window, fundus

FIELD = field_of_view_from_mask(disk(40))
MASKS = {"disc": disk(12), "cup": disk(6), "vessel": bar()}


def rows_of(target: str, spacing: tuple[float, float] | None = None) -> dict[str, str]:
    return dict(
        rows(MeasurementResult(("eye", target), 0.5, 0.78, measure(MASKS, FIELD, spacing=spacing)))
    )


def test_areas_are_in_pixels_or_with_spacing_in_millimeters():
    plain, scaled = rows_of("disc"), rows_of("disc", (0.02, 0.02))
    assert plain["Area of the disc"] == f"{disk(12).sum()} px"
    assert "mm²" in scaled["Area of the disc"]
    assert scaled["Height × width"] == "500 × 500 µm"
    assert "Height × width" not in plain
    assert "µm²" in rows_of("cup", (0.001, 0.001))["Area of the cup"]
    assert plain["Vertical cup/disc ratio"] == "0.520"
    assert plain["Vessel density"].endswith("%")
    assert plain["Predicted IoU of the disc"] == "0.500"
    assert plain["Confidence in the disc"] == "fairly sure (0.78)"


def test_confidence_has_words():
    words = [confidence_words(value) for value in (1.0, 0.9, 0.7, 0.5, 0.1, 0.0)]
    assert words == ["sure", "sure", "fairly sure", "doubtful", *2 * ["probably wrong"]]


def test_missing_structures_have_no_rows():
    only = MeasurementResult(("eye", "drusen"), None, None, measure({}, FIELD))
    assert list(rows(only)) == []


@pytest.mark.viewer
def test_only_the_last_submitted_masks_are_measured(qtbot: QtBot):
    measurements, found = LiveMeasurements(), []
    measurements.measured.connect(found.append)
    with qtbot.waitSignal(measurements.measured, timeout=20_000):
        for radius in (5, 6, 12):
            measurements.submit(("eye", "disc"), 0.1, {"disc": disk(radius)}, FIELD, None)
    areas = [result.measurements.structures["disc"].area_px for result in found]
    assert areas == [disk(12).sum()]
    measurements.submit(("eye", "disc"), 0.1, {"disc": np.zeros_like(disk(1))}, FIELD, None)
    measurements.close()
    qtbot.wait(200)
    assert len(found) == 1


pytestmark = pytest.mark.viewer


def shown(window: Window) -> str:
    """Return the text of the rows in the dock."""
    return label_text(window.dock.measurement_rows)


def wait_for(window: Window, text: str) -> None:
    """Wait until a text is shown in the rows."""
    window.qtbot.waitUntil(lambda: text in shown(window), timeout=WAIT)


def area(mask: np.ndarray) -> str:
    return f"{np.count_nonzero(mask)} px"


def test_measurements_follow_accepting_painting_and_undo(window: Window):
    window.segment()
    inside = window.preview().data[window.session.result.prepared.field.mask]
    window.dock.threshold.number.setValue(round(float(np.median(inside)), 3))
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    accepted = labels.data > 0
    wait_for(window, area(accepted))
    labels.data_setitem(tuple(np.mgrid[80:120, 80:120].reshape(2, -1)), 2)
    assert area(labels.data) != area(accepted)
    wait_for(window, area(labels.data))
    labels.undo()
    wait_for(window, area(accepted))
    labels.data = np.pad(np.ones((20, 20), np.uint8), 90)
    wait_for(window, area(labels.data))


def test_visible_preview_is_measured_instead_of_the_mask(window: Window):
    window.segment()
    inside = window.preview().data[window.session.result.prepared.field.mask]
    window.dock.threshold.number.setValue(round(float(np.median(inside)), 3))
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    accepted = labels.data > 0
    labels.data = np.pad(np.ones((20, 20), np.uint8), 90)
    wait_for(window, area(labels.data))
    window.preview().visible = True
    wait_for(window, area(accepted))
    window.preview().visible = False
    wait_for(window, area(labels.data))


def test_masks_of_another_image_are_not_measured(open_window):
    theirs = Labels(np.pad(np.ones((20, 20), np.uint8), 90), name="left cup")
    window = open_window(fundus("left"), fundus("right", 1), theirs)
    pick(window.dock.targets.images, "right")
    window.segment()
    wait_for(window, "Predicted IoU")
    assert "cup/disc ratio" not in shown(window)
    references = window.dock.comparison_panel.reference
    assert [references.itemText(number) for number in range(references.count())] == ["A"]


def test_measurements_of_another_image_are_not_shown(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    pick(window.dock.targets.images, "left")
    window.segment()
    wait_for(window, "Predicted IoU")
    window.dock.threshold.number.setValue(0.4)  # measured soon, unless the image changes
    pick(window.dock.targets.images, "right")
    window.qtbot.waitUntil(lambda: shown(window).strip() == "")
    window.qtbot.wait(600)
    assert shown(window).strip() == ""
    pick(window.dock.targets.images, "left")
    wait_for(window, "Predicted IoU")


def test_two_layers_of_one_target_are_explained_once_in_the_dock(
    window: Window, notices: list[str]
):
    window.segment()
    wait_for(window, "Predicted IoU")
    for name in ("gt disc", "manual disc"):
        window.viewer.add_labels(np.zeros((200, 200), np.uint8), name=name)
    wait_for(window, "Two layers show disc")
    for step in range(5):
        window.dock.threshold.number.setValue(0.3 + step / 20)
    assert shown(window).count("Two layers show disc") == 1
    assert "Predicted IoU" not in shown(window)
    assert notices == []
    window.viewer.layers.remove("manual disc")
    wait_for(window, "Predicted IoU")


def test_unexpected_error_while_measuring_is_shown(window: Window, notices: list[str], monkeypatch):
    monkeypatch.setattr(
        "napari_sam2lora.segmentation.live_measurements.measure", lambda *_, **__: 1 / 0
    )
    failed = window.session.results.live_measurements.failed
    with window.qtbot.waitSignal(failed, timeout=WAIT):
        window.segment()
    assert "ZeroDivisionError" in window.messages[-1]


def test_measurements_are_shown_in_the_dock(open_window):
    window = open_window(fundus(spacing=(0.01, 0.01)))
    measurements = window.session.results.live_measurements
    with window.qtbot.waitSignal(measurements.measured, timeout=WAIT):
        window.segment()
    for expected in ("Predicted IoU of the disc", "Area of the disc", "px", "µm²"):
        assert expected in window.text()
    with window.qtbot.waitSignal(measurements.measured, timeout=WAIT):
        press(window.dock, "Segment all")
    window.idle()
    with window.qtbot.waitSignal(measurements.measured, timeout=WAIT):
        window.split_the_preview()
    assert "Vessel density" in window.text()
