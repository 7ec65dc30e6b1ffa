"""From an image to three masks in a real window, with the mouse and the keys."""

from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_sam2lora.segmentation.dock import SegmentDock
from sam2lora.targets import TARGETS

from ..helpers import pick, press
from ..segmentation_window import WAIT

pytestmark = [pytest.mark.viewer, pytest.mark.slow]
LEFT = Qt.MouseButton.LeftButton


def canvas_of(dock: SegmentDock) -> QWidget:
    """Return the largest widget of the window that vispy draws on."""
    widgets = dock.window().findChildren(QWidget)
    canvases = [widget for widget in widgets if "Canvas" in type(widget).__name__]
    return max(canvases, key=lambda canvas: canvas.width() * canvas.height())


def near_center(canvas: QWidget, right: float, down: float) -> QPoint:
    """Return a position in the canvas, in heights of it from its center."""
    side = canvas.height()
    return QPoint(canvas.width() // 2 + int(right * side), canvas.height() // 2 + int(down * side))


def test_image_is_segmented_corrected_and_accepted_with_mouse_and_keys(
    make_napari_viewer, qtbot: QtBot, real_data: Path
):
    (path,) = (real_data / "DRIVE").rglob("01_test.tif")
    viewer: Viewer = make_napari_viewer(show=True)
    viewer.open(path, plugin="napari-sam2lora")
    image, *masks = viewer.layers
    for mask in masks:
        viewer.layers.remove(mask)
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Segment")
    session = dock.session
    qtbot.waitExposed(dock.window())
    press(dock, "Segment all")
    qtbot.waitUntil(lambda: len(session.results.latest) == 3, timeout=WAIT)
    qtbot.waitUntil(lambda: not session.queue.worker.busy, timeout=WAIT)
    for name in TARGETS:
        pick(dock.targets.targets, name)
        target_key = (str(path), name)
        before = session.results.latest[target_key].prediction.probabilities
        dock.use_points()
        canvas = canvas_of(dock)
        for right, key in ((0.1, None), (-0.1, Qt.Key.Key_Q)):
            if key:
                QTest.keyClick(canvas, key)
            with qtbot.waitSignal(session.queue.result_ready, timeout=WAIT):
                QTest.mouseClick(canvas, LEFT, pos=near_center(canvas, right, 0.05))
        QTest.keyClick(canvas, Qt.Key.Key_Q)
        points = session.prompts.at(target_key).points
        assert [point.positive for point in points] == [True, False]
        assert points[0].x > points[1].x
        after = session.results.latest[target_key].prediction.probabilities
        assert np.abs(before - after).max() > 1e-4
        field = session.result.prepared.field.mask
        dock.threshold.number.setValue(round(float(np.median(after[field])), 3))
        QTest.keyClick(canvas, Qt.Key.Key_W)
        labels = viewer.layers[f"{image.name} {name}"]
        assert viewer.layers.selection.active is labels
        np.testing.assert_array_equal(labels.data > 0, session.results.mask(target_key))
        assert labels.data.any()
        QTest.keyClick(canvas, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        assert not labels.data.any()
        QTest.keyClick(
            canvas,
            Qt.Key.Key_Z,
            Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
        )
        assert labels.data.any()


def test_box_is_drawn_with_the_mouse(open_window, qtbot: QtBot):
    window = open_window()
    window.segment()
    canvas = canvas_of(window.dock)
    window.show()
    press(window.dock, "Box")
    start, end = (near_center(canvas, offset, offset) for offset in (-0.1, 0.15))
    QTest.mousePress(canvas, LEFT, pos=start)
    for step in range(1, 6):
        QTest.mouseMove(canvas, start + (end - start) * step / 5)
        qtbot.wait(20)
    with window.wait_result():
        QTest.mouseRelease(canvas, LEFT, pos=end)
    x0, y0, x1, y1 = window.session.prompts.at(window.session.target_key).box
    assert 0 < x0 < x1 < 200
    assert x1 - x0 == pytest.approx(y1 - y0, rel=0.1)
