"""What docks have in common: they are tabs of one area, scroll, and leave keys to the canvas."""

import re
from collections.abc import Callable

from napari.viewer import Viewer
from qtpy.QtCore import QEvent, QObject, QPoint, QRect, QSize, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut, QShowEvent
from qtpy.QtWidgets import QDockWidget, QFrame, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from napari_sam2lora.qt.canvas import shows_everything
from napari_sam2lora.qt.focus import FocusGuard
from napari_sam2lora.qt.message_log import MessageLog
from napari_sam2lora.qt.widgets import Section

_PLUGIN = re.compile(r" \([^()]*\)$")
"""What napari appends to the name of a dock: the name of its plugin."""

_WIDTH = 360  # pixels
_CANVAS = 520  # pixels of its width that an opened dock leaves, where the screen has room
_PLACED = 500  # milliseconds in which a window manager has placed a new window
_BOXES = (
    "QCheckBox::indicator:unchecked { border: 1px solid #808080; }"
    "QTreeView::indicator:unchecked { border: 1px solid #808080; }"
)
"""Unticked boxes are hardly visible in napari's light theme; this gray is in both."""


class Dock(QWidget):
    """A dock of the plugin; each opens as a tab beside those that are there already.

    Parameters
    ----------
    viewer
        The viewer, if its layers are to stay in view when the dock narrows the canvas.
    width
        Its smallest width in pixels.

    Attributes
    ----------
    messages
        What it said, in full.
    """

    def __init__(self, viewer: Viewer | None = None, *, width: int = _WIDTH) -> None:
        super().__init__()
        self._shown_in, self._keeps_view = viewer, False
        self._width, self._least = width, 0  # pixels of the dock, and of the canvas
        self.messages = MessageLog()
        self._placed = False
        self._fitting = QTimer(self)
        self._fitting.setSingleShot(True)
        self._fitting.timeout.connect(self._fit)
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

    def keep_in_view(self) -> None:
        """Fit the layers into the canvas once the dock has its place.

        Call this for a dock that opens with them: napari has not fitted them yet. Otherwise they
        are fitted if all of them were in view before.
        """
        self._keeps_view = True

    def showEvent(self, event: QShowEvent) -> None:
        """Become a tab of the other docks' area when it is shown first."""
        super().showEvent(event)
        window = main_window(self)
        if window is None or self._placed:
            return
        self._placed = True
        window.installEventFilter(self)
        self._keeps_view = self._keeps_view or self._shows_everything()
        for keys, pressed in self._keys.items():
            self._shortcuts.append(QShortcut(QKeySequence(keys), window, pressed))
        # Not now: napari is still placing it.
        QTimer.singleShot(0, self._join)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Bring the window back onto the screen when it grew, as with other layer controls."""
        if event.type() == QEvent.Type.Resize and watched is main_window(self):
            self._fitting.start(_PLACED)
        return False

    def changeEvent(self, event: QEvent) -> None:
        """Release the keys when the dock is removed from the window."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parent() is None:
            while self._shortcuts:
                self._shortcuts.pop().deleteLater()
            self._placed = False

    def _join(self) -> None:
        window, mine = main_window(self), frame_of(self)
        if window is None or mine is None or mine.isFloating():
            return
        area = window.dockWidgetArea(mine)
        for dock in window.findChildren(Dock):
            frame = frame_of(dock)
            if frame is None or frame is mine or frame.isFloating() or not dock._placed:
                continue
            if window.dockWidgetArea(frame) == area and mine not in window.tabifiedDockWidgets(
                frame
            ):
                window.tabifyDockWidget(frame, mine)
                break
        # The tab has room for the name of the dock, not for that of the plugin.
        mine.setWindowTitle(_PLUGIN.sub("", mine.windowTitle()))
        mine.raise_()
        self._least = _CANVAS
        QTimer.singleShot(0, self._fit_window)
        self._fitting.start(_PLACED)

    def _fit(self) -> None:
        """Fit the window onto the screen, and layers that were all in view into the canvas."""
        self._fit_window()
        if self._keeps_view and not self._shows_everything() and self._shown_in is not None:
            self._shown_in.fit_to_view()
        self._keeps_view, self._least = False, 0  # from now on the user decides

    def _shows_everything(self) -> bool:
        window = main_window(self)
        canvas = None if window is None else window.centralWidget()
        viewer = self._shown_in
        return viewer is not None and canvas is not None and shows_everything(viewer, canvas)

    def _fit_window(self) -> None:
        """Widen a window whose canvas became narrow, and bring it back onto the screen.

        napari cuts the beginning of its notifications off where the canvas is narrower than they.
        """
        window = main_window(self)
        screen = None if window is None else window.screen()
        if window is None or screen is None or window.isMaximized() or window.isFullScreen():
            return
        canvas = window.centralWidget()
        missing = 0 if canvas is None else max(0, self._least - canvas.width())
        fit_onto(screen.availableGeometry(), window, width=window.width() + missing)


def fit_onto(room: QRect, window: QWidget, *, width: int) -> None:
    """Make a window as wide as wanted and possible, and move what lies outside into a rectangle.

    Parameters
    ----------
    room
        The rectangle, such as the part of a screen that windows may use.
    window
        The window; with its frame it is within the rectangle then.
    width
        The width it should have, without its frame.
    """
    borders = window.frameGeometry().size() - window.size()
    largest = room.size() - borders
    size = QSize(width, window.height()).boundedTo(largest)
    if size != window.size():
        window.resize(size)
    frame = QRect(window.frameGeometry().topLeft(), window.size() + borders)
    frame.moveRight(min(frame.right(), room.right()))
    frame.moveBottom(min(frame.bottom(), room.bottom()))
    corner = QPoint(max(frame.left(), room.left()), max(frame.top(), room.top()))
    if corner != window.pos():
        window.move(corner)


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


def frame_of(dock: QWidget) -> QDockWidget | None:
    """Return what napari puts around a dock; None of one that is in no window."""
    parent: QWidget | None = dock
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent
