"""The messages of a dock in full, with their times."""

from datetime import datetime

from qtpy.QtWidgets import QPlainTextEdit

_LINES = 1000  # of the log; the oldest are dropped
_HEIGHT = 120  # pixels, at least


class MessageLog(QPlainTextEdit):
    """A list of messages to scroll through and to copy from."""

    def __init__(self) -> None:
        super().__init__()
        self.setReadOnly(True)
        self.setMaximumBlockCount(_LINES)
        self.setMinimumHeight(_HEIGHT)
        self.setPlaceholderText("No messages yet.")
        self.setToolTip("Everything this dock said, in full")
        self._last = ""

    def add(self, text: str) -> None:
        """Add a message, unless it is empty or the same as the one before."""
        if text and text != self._last:
            self._last = text
            self.appendPlainText(f"{datetime.now():%H:%M:%S}  {text}")
