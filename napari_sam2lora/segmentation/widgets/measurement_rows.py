"""A few measurements of the current image."""

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph


class MeasurementRows(QWidget):
    """Rows of a name and a value, and a message where nothing can be measured.

    Their place stays when they vanish, so that what is below does not move with each image.
    """

    def __init__(self) -> None:
        super().__init__()
        self._form = QFormLayout()
        self._form.setVerticalSpacing(2)
        self._form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.WrapLongRows)  # docks are narrow
        self.message = Paragraph()
        self.message.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(self._form)
        layout.addWidget(self.message)

    def show_message(self, text: str) -> None:
        """Show why nothing can be measured; an empty text hides the message."""
        self.message.setText(text)
        self.message.setVisible(bool(text))

    def show_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Replace the rows."""
        while self._form.rowCount():
            self._form.removeRow(0)
        for name, value in rows:
            label = QLabel(value)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._form.addRow(name, label)
        self.setMinimumHeight(max(self.minimumHeight(), self.sizeHint().height()))
