"""What docks have in common: they are tabs of one area, scroll, and leave keys to the canvas."""

from collections.abc import Callable

from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut, QShowEvent
from qtpy.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from napari_sam2lora.qt.focus import FocusGuard
from napari_sam2lora.qt.message_log import MessageLog
from napari_sam2lora.qt.widgets import Section

_WIDTH = 360  # pixels
_CANVAS = 520  # pixels of its width that an opened dock leaves, where the screen has room
_BOXES = (
    "QCheckBox::indicator:unchecked { border: 1px solid #808080; }"
    "QTreeView::indicator:unchecked { border: 1px solid #808080; }"
)
"""Unticked boxes are hardly visible in napari's light theme; this gray is in both."""


class Dock(QWidget):
    """A dock of the plugin; each opens as a tab beside those that are there already.

    Parameters
    ----------
    width
        Its smallest width in pixels.

    Attributes
    ----------
    messages
        What it said, in full.
    """

    def __init__(self, width: int = _WIDTH) -> None:
        super().__init__()
        self._width = width
        self.messages = MessageLog()
        self._placed = False
        self._keys: dict[str, Callable[[], None]] = {}
        self._shortcuts: list[QShortcut] = []
        self.setMinimumWidth(width)
        self.setStyleSheet(_BOXES)

    def sizeHint(self) -> QSize:
        """Return a narrow size: the canvas matters more, and all widgets fit."""
        return QSize(self._width, super().sizeHint().height())

    def fill(self, content: QWidget, *, above: QWidget | None, below: QWidget | None) -> None:
        """Show a part that scrolls, with the messages at its end, between two that stay in view."""
        inside = content.layout()
        if isinstance(inside, QVBoxLayout):
            last = inside.itemAt(inside.count() - 1)
            empty = last is not None and last.spacerItem() is not None  # below the last part
            index = inside.count() - int(empty)
            inside.insertWidget(index, Section("Messages", self.messages))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for part in (above, scrolling(content), below):
            if part is not None:
                layout.addWidget(part, stretch=int(isinstance(part, QScrollArea)))
        FocusGuard(self)

    def add_key(self, keys: str, pressed: Callable[[], None]) -> None:
        """Call a function when keys are pressed anywhere in the window, even behind another tab."""
        self._keys[keys] = pressed

    def showEvent(self, event: QShowEvent) -> None:
        """Become a tab of the other docks' area when it is shown first."""
        super().showEvent(event)
        window = main_window(self)
        if window is None or self._placed:
            return
        self._placed = True
        for keys, pressed in self._keys.items():
            self._shortcuts.append(QShortcut(QKeySequence(keys), window, pressed))
        # Not now: napari is still placing it.
        QTimer.singleShot(0, self._join)

    def changeEvent(self, event: QEvent) -> None:
        """Release the keys when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            while self._shortcuts:
                self._shortcuts.pop().deleteLater()
            self._placed = False

    def _join(self) -> None:
        window, mine = main_window(self), _frame(self)
        if window is None or mine is None or mine.isFloating():
            return
        area = window.dockWidgetArea(mine)
        for dock in window.findChildren(Dock):
            frame = _frame(dock)
            if frame is None or frame is mine or frame.isFloating() or not dock._placed:
                continue
            if window.dockWidgetArea(frame) == area and mine not in window.tabifiedDockWidgets(
                frame
            ):
                window.tabifyDockWidget(frame, mine)
                break
        mine.raise_()
        QTimer.singleShot(0, self._make_room)

    def _make_room(self) -> None:
        """Widen a window whose canvas became narrow, within the screen.

        napari cuts the beginning of its notifications off where the canvas is narrower than they.
        """
        window = main_window(self)
        screen = None if window is None else window.screen()
        if window is None or screen is None or window.isMaximized() or window.isFullScreen():
            return
        canvas, room = window.centralWidget(), screen.availableGeometry()
        borders = window.frameGeometry().width() - window.width()
        missing = 0 if canvas is None else _CANVAS - canvas.width()
        width = min(window.width() + missing, room.width() - borders)
        if width > window.width():
            window.resize(width, window.height())
            beyond = window.frameGeometry().right() - room.right()
            if beyond > 0:
                window.move(max(room.left(), window.x() - beyond), window.y())


def scrolling(content: QWidget) -> QScrollArea:
    """Return an area as wide as its dock, in which a widget scrolls up and down."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    return area


def main_window(widget: QWidget) -> QMainWindow | None:
    """Return the main window that a dock is in, even while it floats."""
    parent: QWidget | None = widget
    while parent is not None and not isinstance(parent, QMainWindow):
        parent = parent.parentWidget()
    return parent


def _frame(dock: QWidget) -> QDockWidget | None:
    parent: QWidget | None = dock
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
