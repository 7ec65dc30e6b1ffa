"""How far the work is, a button that cancels it, and what has to be said."""

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph

_MEGABYTE = 1_000_000
_PATIENCE, _INTERVAL = 300, 100  # milliseconds until the bar is shown, and between its changes


class SegmentationProgress(QWidget):
    """A bar while something runs, and under it one sentence.

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
        self.words = Paragraph()
        line = QHBoxLayout()
        line.addWidget(self.bar, stretch=1)
        line.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(self.words)
        self._latest: tuple[str, int, int | None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._look)
        self._rest()

    def show_busy(self, busy: bool) -> None:
        """Show the bar once something has run for a moment; it keeps its place, so nothing jumps.

        What is done at once, such as the answer to a click, shows nothing: each change of the bar
        has the whole window drawn again, which takes longer than the answer.
        """
        self._latest = None
        if busy:
            self._timer.start(_PATIENCE)
            return
        self._timer.stop()
        if self.cancel.isEnabled():
            self._rest()

    def show_progress(self, words: str, done: int, total: int | None) -> None:
        """Show how far it is, at the next look; without a total, only that it goes on."""
        self._latest = (words, done, total)

    def _look(self) -> None:
        """Show what was told last."""
        self._timer.start(_INTERVAL)
        if not self.cancel.isEnabled():
            self.bar.setEnabled(True)
            self.cancel.setEnabled(True)
        if self._latest is None:
            return
        words, done, total = self._latest
        self.bar.setFormat(words)
        if total is None:  # the words say it; a bar that moves would have the window drawn again
            done, total = 0, 1
        if total > _MEGABYTE:  # bytes of a download, too many for Qt to count
            self.bar.setFormat(f"{words}: {done // _MEGABYTE} of {total // _MEGABYTE} MB")
            done, total = done // 1024, total // 1024
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def _rest(self) -> None:
        self.bar.setEnabled(False)
        self.cancel.setEnabled(False)
        self.bar.setFormat("")
        self.bar.setRange(0, 1)
        self.bar.setValue(0)

    def show_message(self, words: str) -> None:
        """Show a sentence, in place of the one before."""
        self.words.setText(words)
