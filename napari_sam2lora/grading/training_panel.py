"""The switch for training while labelling, and what it has brought."""

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
        The adapter before is wanted again.
    """

    changed = Signal()
    undo_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.switch = QCheckBox("Train in the background")
        self.switch.setToolTip(
            "Quick adapt runs in the background on the images that you are done with; what is "
            "better on the validation images predicts from then on"
        )
        self.target = QComboBox()
        self.target.setToolTip("What is learned")
        self.every = QSpinBox()
        self.every.setRange(2, 1000)
        self.every.setValue(_EVERY)
        self.every.setToolTip("A training starts when this many more images are done")
        self.message = Paragraph()
        self._undo = button(
            "Undo", self._on_undo, tip="Predict with the adapter from before the training again"
        )
        self._undo.setEnabled(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row(self.switch, self.target))
        layout.addLayout(row(QLabel("when done:"), self.every, QLabel("more images"), self._undo))
        layout.addWidget(self.message)
        self.switch.toggled.connect(self._on_changed)
        self.target.activated.connect(self._on_changed)
        self.every.valueChanged.connect(self._on_changed)

    def show_targets(self, names: Sequence[str]) -> None:
        """List the targets that can be learned."""
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
