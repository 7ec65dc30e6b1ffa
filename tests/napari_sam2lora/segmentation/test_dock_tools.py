"""Branches and outlines in the Segment dock, and undo that gives back what was there."""

import numpy as np
import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QPushButton

from ..helpers import pick, press
from ..segmentation_window import Window

pytestmark = pytest.mark.viewer
LEFT = Qt.MouseButton.LeftButton


def outline_layer(window: Window):
    return window.viewer.layers[f"photo {window.session.target.name} outline"]


def tool_button(window: Window, text: str) -> QPushButton:
    (found,) = (one for one in window.dock.prompts.findChildren(QPushButton) if one.text() == text)
    return found


def test_outline_starts_around_the_prediction_and_becomes_the_preview(window: Window):
    window.segment()
    window.split_the_preview()
    with window.wait_result():
        press(window.dock.prompts, "Outline")
    outline = window.session.prompts.at(window.session.target_key).outline
    assert window.session.tool == "outline"
    assert outline_layer(window).shape_type == ["ellipse"]
    expected = outline.mask((200, 200)) & window.session.result.prepared.field.mask
    np.testing.assert_array_equal(window.session.results.mask(window.session.target_key), expected)


def test_dragged_outline_changes_the_preview_and_undo_gives_each_step_back(window: Window):
    window.segment()
    window.split_the_preview()
    first = window.values()
    with window.wait_result():
        window.dock.use_outline()
    fitted = window.values()
    layer = outline_layer(window)
    with window.wait_result():
        layer.data = [layer.data[0] + np.array((0, 12.0))]  # as napari's handles do
    assert not np.array_equal(window.values(), fitted)
    for expected in (fitted, first):
        with window.wait_result():
            press(window.dock, "Undo")
        np.testing.assert_array_equal(window.values(), expected)
    assert layer.nshapes == 0
    with window.wait_result():
        window.dock.redo()
    np.testing.assert_array_equal(window.values(), fitted)
    assert layer.nshapes == 1


def test_point_corrects_the_outline_and_not_the_prediction_before(window: Window):
    window.segment()
    window.split_the_preview()
    with window.wait_result():
        window.dock.use_outline()
    before = window.values()
    outline = window.session.prompts.at(window.session.target_key).outline
    window.dock.use_points()
    window.session.set_positive(False)
    with window.wait_result():
        window.click(outline.x, outline.y)
    assert window.session.prompts.at(window.session.target_key).outline == outline
    assert window.values()[round(outline.y), round(outline.x)] < 0.5
    with window.wait_result():
        window.dock.undo()
    np.testing.assert_array_equal(window.values(), before)


def test_outline_without_a_prediction_is_in_the_middle_of_the_view(window: Window):
    window.viewer.scene.camera.center = (0, 90, 110)
    with window.wait_result():
        window.dock.use_outline()
    outline = window.session.prompts.at(window.session.target_key).outline
    assert (outline.x, outline.y) == (110, 90)


def test_each_tool_is_offered_where_it_is_of_use(window: Window):
    for name, branch in (("disc", False), ("vessel", True), ("cup", False)):
        pick(window.dock.targets.targets, name)
        assert tool_button(window, "Branch").isEnabled() == branch
        assert tool_button(window, "Outline").isEnabled() != branch
    pick(window.dock.targets.targets, "vessel")
    window.dock.use_branch()
    assert window.session.tool == "branch"
    assert tool_button(window, "Branch").isChecked()
    pick(window.dock.targets.targets, "disc")
    assert window.session.tool == "point"


def test_branch_is_a_point_of_its_own_kind_and_undo_gives_the_first_answer_back(window: Window):
    pick(window.dock.targets.targets, "vessel")
    window.segment()
    window.split_the_preview()
    first = window.values("vessel")
    shown = first >= window.session.results.threshold(window.session.target_key)
    row, column = np.argwhere(shown)[shown.sum() // 2]
    window.dock.use_branch()
    window.session.set_positive(False)
    with window.wait_result():
        window.click(float(column), float(row))
    (point,) = window.session.prompts.at(window.session.target_key).points
    assert point.branch
    assert not point.positive
    assert [str(one) for one in window.points().symbol] == ["diamond"]
    now = window.values("vessel")
    assert now[row, column] < window.session.results.threshold(window.session.target_key)
    assert not (now > first).any()
    with window.wait_result():
        press(window.dock, "Undo")
    np.testing.assert_array_equal(window.values("vessel"), first)


def test_stroke_is_a_chain_of_clicks_and_one_step_of_undo(open_window, qtbot: QtBot):
    window = open_window()
    pick(window.dock.targets.targets, "vessel")
    window.segment()
    first = window.values("vessel")
    window.show()
    window.dock.use_branch()
    view = window.viewer.window._qt_viewer.canvas.native
    start = view.rect().center()
    center = tuple(window.viewer.scene.camera.center)
    QTest.mousePress(view, LEFT, pos=start)
    for step in range(1, 9):
        QTest.mouseMove(view, start + QPoint(10 * step, 4 * step))
        qtbot.wait(10)
    with window.wait_result():
        QTest.mouseRelease(view, LEFT, pos=start + QPoint(80, 32))
    points = window.session.prompts.at(window.session.target_key).points
    assert len(points) > 2
    assert all(point.branch for point in points)
    assert tuple(window.viewer.scene.camera.center) == center  # a drag does not move the picture
    window.idle()
    with window.wait_result():
        press(window.dock, "Undo")
    assert window.session.prompts.at(window.session.target_key).points == ()
    np.testing.assert_array_equal(window.values("vessel"), first)
