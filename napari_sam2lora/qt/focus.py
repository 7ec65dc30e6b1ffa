"""Keep the focus on the canvas, and the mouse wheel away from values."""

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QComboBox,
    QLineEdit,
    QScrollBar,
    QTabBar,
    QWidget,
)

_CLICKED = (QAbstractButton, QComboBox, QAbstractSlider, QAbstractItemView, QTabBar)
_TYPED = (QAbstractSpinBox, QLineEdit)
_TURNED = (QComboBox, QAbstractSpinBox, QAbstractSlider, QTabBar)
_LEAVE = (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Escape)
_NEW = (QEvent.Type.ChildAdded, QEvent.Type.ChildPolished)


class FocusGuard(QObject):
    """Watch the widgets of a dock, including those that are added to it later.

    - The wheel changes a value in a widget with the focus alone; otherwise it scrolls the dock.
    - A click on a button, a list or a slider leaves the focus where it is, so that keys still reach
      the canvas. The Tab key still gets to them.
    - Return and Escape end typing: the next key reaches the canvas.

    Parameters
    ----------
    dock
        The dock; it becomes the parent of this object.
    """

    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        self._watch(dock)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Reject the wheel, and end typing."""
        kind = event.type()
        if kind in _NEW:
            child = event.child()
            if isinstance(child, QWidget):
                self._watch(child)
        elif kind == QEvent.Type.Wheel and _is_turned(watched) and not watched.hasFocus():
            event.ignore()
            return True
        elif kind == QEvent.Type.KeyPress and isinstance(watched, _TYPED) and _leaves(event):
            watched.clearFocus()  # which ends typing as Return does
            return True
        return False

    def _watch(self, widget: QWidget) -> None:
        for one in (widget, *widget.findChildren(QWidget)):
            one.installEventFilter(self)  # once: Qt removes an earlier one
            if isinstance(one, QScrollBar):
                continue
            if isinstance(one, _CLICKED):
                one.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            elif isinstance(one, _TYPED):
                one.setFocusPolicy(Qt.FocusPolicy.StrongFocus)


def _is_turned(watched: QObject) -> bool:
    return isinstance(watched, _TURNED) and not isinstance(watched, QScrollBar)


def _leaves(event: QEvent) -> bool:
    return isinstance(event, QKeyEvent) and event.key() in _LEAVE
