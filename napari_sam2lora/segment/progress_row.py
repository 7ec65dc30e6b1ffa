"""How far the work is, a button that cancels it, and what has to be said."""

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_sam2lora._parts import paragraph

_MEGABYTE = 1_000_000


class ProgressRow(QWidget):
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
        self.words = paragraph()
        line = QHBoxLayout()
        line.addWidget(self.bar, stretch=1)
        line.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(self.words)
        self.show_busy(False)

    def show_busy(self, busy: bool) -> None:
        """Show the bar while something runs; it keeps its place, so that nothing jumps."""
        self.bar.setEnabled(busy)
        self.cancel.setEnabled(busy)
        self.bar.setTextVisible(busy)
        self.bar.setRange(0, 1)
        self.bar.reset()

    def show_progress(self, words: str, done: int, total: int | None) -> None:
        """Show how far it is; without a total, only that it goes on."""
        self.bar.setFormat(words)
        if total is None:
            self.bar.setRange(0, 0)
            return
        if total > _MEGABYTE:  # bytes of a download, too many for Qt to count
            self.bar.setFormat(f"{words}: {done // _MEGABYTE} of {total // _MEGABYTE} MB")
            done, total = done // 1024, total // 1024
        self.bar.setRange(0, total)
        self.bar.setValue(done)

    def say(self, words: str) -> None:
        """Show a sentence, in place of the one before."""
        self.words.setText(words)
