"""Asks a dock before the main window that it is in closes."""

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


class CloseGuard(QObject):
    """Watches the main window of a dock.

    Parameters
    ----------
    dock
        The dock; with it, this goes as well.
    may_close
        Called when the window is about to close; it stays open where this gives False.
    """

    def __init__(self, dock: QWidget, may_close: Callable[[], bool]) -> None:
        super().__init__(dock)
        self._dock, self._may_close = dock, may_close
        self._window: QWidget | None = None

    def refresh(self) -> None:
        """Watch the window the dock is in now; to be called when the dock is shown."""
        window = self._dock
        while (parent := window.parentWidget()) is not None:  # not `window()`: docks may float
            window = parent
        if window is not self._window and window is not self._dock:
            window.installEventFilter(self)
            self._window = window

    def release(self) -> None:
        """Watch no window any more."""
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the window open where the dock wants it."""
        closing = event.type() == QEvent.Type.Close and watched is self._window
        if closing and not self._may_close():
            event.ignore()
            return True
        return False
