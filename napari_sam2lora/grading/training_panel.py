"""The switch for training while labelling, and what came of it."""

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QLabel, QSpinBox, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph, button, row

_EVERY = 5  # images


class TrainingPanel(QWidget):
    """A switch, a target, a number of images, and a button to undo.

    Signals
    -------
    changed()
        Something else is chosen.
    undo_requested()
        The adapter from before the last training is to be used again.
    """

    changed = Signal()
    undo_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.switch = QCheckBox("Train in the background")
        self.switch.setToolTip(
            "Run Quick adapt in the background on the images that you finished; the adapter with "
            "the higher validation score is used from then on"
        )
        self.target = QComboBox()
        self.target.setToolTip("Target to train")
        self.every = QSpinBox()
        self.every.setRange(2, 1000)
        self.every.setValue(_EVERY)
        self.every.setToolTip("Train again after this many newly finished images")
        self.message = Paragraph()
        self._undo = button(
            "Undo", self._on_undo, tip="Use the adapter from before the last training again"
        )
        self._undo.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(self.switch, self.target))
        layout.addLayout(row(QLabel("after"), self.every, QLabel("finished images"), self._undo))
        layout.addWidget(self.message)
        self.switch.toggled.connect(self._on_changed)
        self.target.activated.connect(self._on_changed)
        self.every.valueChanged.connect(self._on_changed)

    def show_targets(self, names: Sequence[str]) -> None:
        """List the targets that can be trained."""
        current = self.target.currentText()
        self.target.clear()
        self.target.addItems(list(names))
        self.target.setCurrentText(current or (names[0] if names else ""))

    def show_undo(self, can: bool) -> None:
        """Show whether there is something to undo."""
        self._undo.setEnabled(can)

    def _on_changed(self, *_: object) -> None:
        self.changed.emit()

    def _on_undo(self) -> None:
        self.undo_requested.emit()
