"""The focus stays on the canvas, and the wheel changes no value by the way."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_sam2lora.qt.focus import FocusGuard


@pytest.fixture
def dock(qtbot: QtBot) -> QWidget:
    """Show a dock with a line to type in, which has the focus, and widgets with values."""
    dock = QWidget()
    qtbot.addWidget(dock)
    layout = QVBoxLayout(dock)
    layout.addWidget(QLineEdit())
    FocusGuard(dock)
    for widget in (QComboBox(), QDoubleSpinBox(), QSlider(Qt.Orientation.Horizontal)):
        layout.addWidget(widget)  # after the guard
    dock.findChild(QComboBox).addItems(["a", "b", "c"])
    layout.addWidget(QPushButton("Go"))
    dock.show()
    qtbot.waitExposed(dock)
    dock.activateWindow()
    dock.findChild(QLineEdit).setFocus()
    return dock


def turn(widget: QWidget) -> bool:
    """Turn the wheel over a widget by one notch; return whether it was used."""
    nothing = QPoint()
    event = QWheelEvent(
        QPointF(widget.rect().center()),
        QPointF(widget.mapToGlobal(widget.rect().center())),
        nothing,
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(widget, event)
    return event.isAccepted()


def value(widget: QWidget) -> float:
    return widget.currentIndex() if isinstance(widget, QComboBox) else widget.value()


@pytest.mark.parametrize("kind", [QComboBox, QDoubleSpinBox, QSlider])
def test_wheel_changes_a_value_with_the_focus_alone(dock: QWidget, qtbot: QtBot, kind: type):
    widget = dock.findChild(kind)
    if kind is not QComboBox:
        widget.setValue(50)
    before = value(widget)
    turn(widget)
    assert value(widget) == before
    widget.setFocus()
    qtbot.waitUntil(widget.hasFocus)
    turn(widget)
    assert value(widget) != before


@pytest.mark.parametrize("kind", [QComboBox, QSlider, QPushButton])
def test_click_leaves_the_focus_where_it_is(dock: QWidget, qtbot: QtBot, kind: type):
    line = dock.findChild(QLineEdit)
    qtbot.waitUntil(line.hasFocus)
    widget = dock.findChild(kind)
    assert widget.focusPolicy() == Qt.FocusPolicy.TabFocus
    if kind is not QComboBox:  # its list would open
        QTest.mouseClick(widget, Qt.MouseButton.LeftButton)
    assert line.hasFocus()


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Escape])
def test_return_ends_typing(dock: QWidget, qtbot: QtBot, key: Qt.Key):
    box = dock.findChild(QDoubleSpinBox)
    box.setFocus()
    qtbot.waitUntil(box.hasFocus)
    box.selectAll()
    QTest.keyClicks(box, "7")
    QTest.keyClick(box, key)
    assert not box.hasFocus()
    assert box.value() == 7
