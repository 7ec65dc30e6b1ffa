"""The progress of the worker thread, a Cancel button, and a message."""

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import WARNING, MessageArea, Paragraph

_MEGABYTE = 1_000_000
_DELAY, _INTERVAL = 300, 100  # milliseconds until the bar is shown, and between its changes


class SegmentationProgress(QWidget):
    """A progress bar while a job runs, and below it warnings and a message.

    All of it has a constant height, so that nothing that is about to be clicked moves.

    Signals
    -------
    cancelled()
        The button was pressed.
    """

    cancelled = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bar = QProgressBar()
        self.cancel = QPushButton("Cancel")
        self.cancel.clicked.connect(self.cancelled)
        self.cancel.setToolTip("Cancel all requests; masks stay as they are")
        self.message, self.warnings = Paragraph(), Paragraph()
        self.warnings.setStyleSheet(WARNING)
        self.warnings.hide()
        line = QHBoxLayout()
        line.addWidget(self.bar, stretch=1)
        line.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(MessageArea(self.message, self.warnings))
        self._latest: tuple[str, int, int | None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._update)
        self._reset()

    def show_busy(self, busy: bool) -> None:
        """Enable the bar once a job has run for a moment; it is never hidden, so nothing moves.

        A job that ends at once, such as the result of a click, changes nothing: each change of
        the bar repaints the whole window, which takes longer than the result.
        """
        self._latest = None
        if busy:
            self._timer.start(_DELAY)
            return
        self._timer.stop()
        if self.cancel.isEnabled():
            self._reset()

    def show_progress(self, text: str, done: int, total: int | None) -> None:
        """Show the steps done at the next update; without a total, the text alone."""
        self._latest = (text, done, total)

    def _update(self) -> None:
        """Show the latest progress."""
        self._timer.start(_INTERVAL)
        if not self.cancel.isEnabled():
            self.bar.setEnabled(True)
            self.cancel.setEnabled(True)
        if self._latest is None:
            return
        text, done, total = self._latest
        self.bar.setFormat(text)
        if total is None:  # a bar that moves would repaint the window all the time
            done, total = 0, 1
        if total > _MEGABYTE:  # bytes of a download, too many for Qt to count
            self.bar.setFormat(f"{text}: {done // _MEGABYTE} of {total // _MEGABYTE} MB")
            done, total = done // 1024, total // 1024
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _reset(self) -> None:
        self.bar.setEnabled(False)
        self.cancel.setEnabled(False)
        self.bar.setFormat("")
        self.bar.setRange(0, 1)
        self.bar.setValue(0)

    def show_message(self, text: str) -> None:
        """Show a message, replacing the one before."""
        self.message.setText(text)

    def show_warnings(self, text: str) -> None:
        """Show what stands in the way of the next prediction; an empty text hides it."""
        self.warnings.setText(text)
        self.warnings.setVisible(bool(text))
