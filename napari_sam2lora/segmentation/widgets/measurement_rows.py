"""A few numbers beside the picture."""

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph


class MeasurementRows(QWidget):
    """Rows of a name and a value, and what keeps from measuring."""

    def __init__(self) -> None:
        super().__init__()
        self._form = QFormLayout()
        self._form.setVerticalSpacing(2)
        self.words = Paragraph()
        self.words.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.words)

    def show_message(self, words: str) -> None:
        """Show what keeps from measuring; nothing if it is empty."""
        self.words.setText(words)
        self.words.setVisible(bool(words))

    def show_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Show these in place of the ones before."""
        while self._form.rowCount():
            self._form.removeRow(0)
        for name, value in rows:
            label = QLabel(value)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._form.addRow(name, label)
