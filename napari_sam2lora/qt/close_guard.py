"""Ask a dock before its main window closes."""

from collections.abc import Callable

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QWidget


class CloseGuard(QObject):
    """Watch the main window of a dock, and keep it open if the dock asks for it.

    Parameters
    ----------
    dock
        The dock; it becomes the parent of this object.
    may_close
        Called when the window is about to close; the window stays open if it returns False.
    """

    def __init__(self, dock: QWidget, may_close: Callable[[], bool]) -> None:
        super().__init__(dock)
        self._dock, self._may_close = dock, may_close
        self._window: QWidget | None = None

    def refresh(self) -> None:
        """Watch the window that the dock is in now; call this when the dock is shown."""
        window = self._dock
        while (parent := window.parentWidget()) is not None:  # not `window()`: docks may float
            window = parent
        if window is not self._window and window is not self._dock:
            window.installEventFilter(self)
            self._window = window

    def release(self) -> None:
        """Stop watching the window."""
        if self._window is not None:
            self._window.removeEventFilter(self)
            self._window = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Reject the window's close event if the dock must not close."""
        closing = event.type() == QEvent.Type.Close and watched is self._window
        if closing and not self._may_close():
            event.ignore()
            return True
        return False
