"""A few numbers beside the picture."""

from collections.abc import Iterable

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFormLayout, QLabel, QWidget


class NumbersView(QWidget):
    """Rows of a name and a value."""

    def __init__(self) -> None:
        super().__init__()
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setVerticalSpacing(2)

    def show_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Show these in place of the ones before."""
        while self._form.rowCount():
            self._form.removeRow(0)
        for name, value in rows:
            label = QLabel(value)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            self._form.addRow(name, label)
