"""Numbers beside the picture."""

import numpy as np
import pytest
from napari.layers import Labels
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QLabel

from napari_sam2lora.segmentation.live_measurements import LiveMeasurements, MeasurementResult, rows
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.metrics.measurements import measure

from ..conftest import bar, disk
from ..segmentation_window import WAIT, Window, fundus, pick, press

FIELD = field_of_view_from_mask(disk(40))
MASKS = {"disc": disk(12), "cup": disk(6), "vessel": bar()}


def shown(target: str, spacing: tuple[float, float] | None = None) -> dict[str, str]:
    return dict(
        rows(MeasurementResult(("eye", target), 0.5, measure(MASKS, FIELD, spacing=spacing)))
    )


def test_pixels_without_a_scale_and_lengths_with_one():
    plain, scaled = shown("disc"), shown("disc", (0.02, 0.02))
    assert plain["Area of the disc"] == f"{disk(12).sum()} px"
    assert "mm²" in scaled["Area of the disc"]
    assert scaled["Height × width"] == "500 × 500 µm"
    assert "Height × width" not in plain
    assert "µm²" in shown("cup", (0.001, 0.001))["Area of the cup"]
    assert plain["Vertical cup/disc ratio"] == "0.520"
    assert plain["Vessel density in the field of view"].endswith("%")
    assert plain["Predicted IoU of the disc"] == "0.500"


def test_what_is_not_there_is_not_shown():
    only = MeasurementResult(("eye", "drusen"), None, measure({}, FIELD))
    assert list(rows(only)) == []


@pytest.mark.viewer
def test_the_last_of_several_wishes_is_measured(qtbot: QtBot):
    numbers, found = LiveMeasurements(), []
    numbers.measured.connect(found.append)
    with qtbot.waitSignal(numbers.measured, timeout=20_000):
        for radius in (5, 6, 12):
            numbers.submit(("eye", "disc"), 0.1, {"disc": disk(radius)}, FIELD, None)
    assert [one.measurements.structures["disc"].area_px for one in found] == [disk(12).sum()]
    numbers.submit(("eye", "disc"), 0.1, {"disc": np.zeros_like(disk(1))}, FIELD, None)
    numbers.close()
    qtbot.wait(200)
    assert len(found) == 1


pytestmark = pytest.mark.viewer


def numbers(window: Window) -> str:
    return " ".join(one.text() for one in window.dock.measurement_rows.findChildren(QLabel))


def wait_for(window: Window, words: str) -> None:
    window.qtbot.waitUntil(lambda: words in numbers(window), timeout=WAIT)


def area(mask: np.ndarray) -> str:
    return f"{np.count_nonzero(mask)} px"


def test_numbers_follow_the_mask_that_is_accepted_painted_and_taken_back(window: Window):
    window.segment()
    inside = window.preview().data[window.session.result.prepared.field.mask]
    window.dock.threshold.number.setValue(round(float(np.median(inside)), 3))
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    answer = labels.data > 0
    wait_for(window, area(answer))
    labels.data_setitem(tuple(np.mgrid[80:120, 80:120].reshape(2, -1)), 2)
    assert area(labels.data) != area(answer)
    wait_for(window, area(labels.data))
    labels.undo()
    wait_for(window, area(answer))
    labels.data = np.pad(np.ones((20, 20), np.uint8), 90)
    wait_for(window, area(labels.data))


def test_what_is_shown_by_the_eye_is_measured(window: Window):
    window.segment()
    inside = window.preview().data[window.session.result.prepared.field.mask]
    window.dock.threshold.number.setValue(round(float(np.median(inside)), 3))
    press(window.dock, "Accept")
    labels = window.viewer.layers["photo disc"]
    answer = labels.data > 0
    labels.data = np.pad(np.ones((20, 20), np.uint8), 90)
    wait_for(window, area(labels.data))
    window.preview().visible = True
    wait_for(window, area(answer))
    window.preview().visible = False
    wait_for(window, area(labels.data))


def test_masks_that_may_be_another_images_are_not_counted(open_window):
    theirs = Labels(np.pad(np.ones((20, 20), np.uint8), 90), name="left cup")
    window = open_window(fundus("left"), fundus("right", 1), theirs)
    pick(window.dock.targets.images, "right")
    window.segment()
    wait_for(window, "Predicted IoU")
    assert "cup/disc ratio" not in numbers(window)
    references = window.dock.comparison_panel.reference
    assert [references.itemText(number) for number in range(references.count())] == ["A"]


def test_numbers_of_another_image_are_not_shown(open_window):
    window = open_window(fundus("left"), fundus("right", 1))
    pick(window.dock.targets.images, "left")
    window.segment()
    wait_for(window, "Predicted IoU")
    window.dock.threshold.number.setValue(0.4)  # measured soon, but then of the other image
    pick(window.dock.targets.images, "right")
    window.qtbot.waitUntil(lambda: numbers(window).strip() == "")
    window.qtbot.wait(600)
    assert numbers(window).strip() == ""
    pick(window.dock.targets.images, "left")
    wait_for(window, "Predicted IoU")


def test_two_layers_of_one_target_are_said_once_in_the_dock(window: Window, notices: list[str]):
    window.segment()
    wait_for(window, "Predicted IoU")
    for name in ("one disc", "two disc"):
        window.viewer.add_labels(np.zeros((200, 200), np.uint8), name=name)
    wait_for(window, "Two layers show disc")
    for step in range(5):
        window.dock.threshold.number.setValue(0.3 + step / 20)
    assert numbers(window).count("Two layers show disc") == 1
    assert "Predicted IoU" not in numbers(window)
    assert notices == []
    window.viewer.layers.remove("two disc")
    wait_for(window, "Predicted IoU")


def test_a_defect_in_measuring_is_shown(window: Window, notices: list[str], monkeypatch):
    monkeypatch.setattr(
        "napari_sam2lora.segmentation.live_measurements.measure", lambda *_, **__: 1 / 0
    )
    failed = window.session.results.live_measurements.failed
    with window.qtbot.waitSignal(failed, timeout=WAIT):
        window.segment()
    assert "ZeroDivisionError" in window.messages[-1]


def test_numbers_stand_beside_the_picture(open_window):
    window = open_window(fundus(spacing=(0.01, 0.01)))
    numbers = window.session.results.live_measurements
    with window.qtbot.waitSignal(numbers.measured, timeout=WAIT):
        window.segment()
    for expected in ("Predicted IoU of the disc", "Area of the disc", "px", "µm²"):
        assert expected in window.words()
    with window.qtbot.waitSignal(numbers.measured, timeout=WAIT):
        press(window.dock, "Segment all")
    window.idle()
    with window.qtbot.waitSignal(numbers.measured, timeout=WAIT):
        window.part_the_answer()
    assert "Vessel density in the field of view" in window.words()
