"""Ask a dock before its main window closes."""

from collections.abc import Callable
from weakref import ref

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QWidget

_CLOSING = 3000  # milliseconds a window may take to close, in which it is not asked again


class CloseGuard(QObject):
    """Watch the main window of a dock, and keep it open if the dock asks for it.

    Parameters
    ----------
    dock
        The dock; it becomes the parent of this object.
    may_close
        Called when the window is about to close; the window stays open if it returns False.

    Attributes
    ----------
    agreed
        Active for a moment once the user has agreed: napari closes a window twice, and removes its
        docks. Whoever asks the user starts it.
    """

    def __init__(self, dock: QWidget, may_close: Callable[[], bool]) -> None:
        super().__init__(dock)
        self._dock, self._may_close = dock, may_close
        self._window: ref[QWidget] | None = None  # a guard that is forgotten holds no window
        self.agreed = QTimer(self)
        self.agreed.setSingleShot(True)
        self.agreed.setInterval(_CLOSING)

    def refresh(self) -> None:
        """Watch the window that the dock is in now; call this when the dock is shown."""
        window = self._dock
        while (parent := window.parentWidget()) is not None:  # not `window()`: docks may float
            window = parent
        if window is not self._watched and window is not self._dock:
            window.installEventFilter(self)
            self._window = ref(window)

    def release(self) -> None:
        """Stop watching the window."""
        if self._watched is not None:
            self._watched.removeEventFilter(self)
        self._window = None

    @property
    def _watched(self) -> QWidget | None:
        return None if self._window is None else self._window()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Reject the window's close event if the dock must not close."""
        closing = event.type() == QEvent.Type.Close and watched is self._watched
        if closing and not self._may_close():
            event.ignore()
            return True
        return False
