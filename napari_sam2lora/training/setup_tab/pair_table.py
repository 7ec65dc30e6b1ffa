"""The table of images with labels, in which those to train on are selected."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph
from napari_sam2lora.training.data.pairs import Pair, issues_of

_IMAGE, _LABELS = range(2)


class PairTable(QWidget):
    """Shows pairs with a check box each; the issue of the current row stands below the table.

    Signals
    -------
    selection_changed()
        The selected pairs may differ from those before.
    """

    selection_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._pairs: list[Pair] = []
        self._by_user: dict[str, bool] = {}  # key to whether the user selected that pair
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["Image", "Labels"])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = self.tree.header()
        header.setStretchLastSection(False)
        for column in (_IMAGE, _LABELS):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self.tree.itemChanged.connect(self._on_changed)
        self.tree.currentItemChanged.connect(self._show_message)
        self.message = Paragraph()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree, stretch=1)
        layout.addWidget(self.message)

    def show_pairs(self, pairs: Sequence[Pair]) -> None:
        """Show other pairs; what the user selected or deselected stays so, by the pairs' keys."""
        current = self._current_key()
        self._pairs = list(pairs)
        self.tree.blockSignals(True)
        self.tree.clear()
        for pair in self._pairs:
            item = self._item(pair)
            self.tree.addTopLevelItem(item)
            if pair.key == current:
                self.tree.setCurrentItem(item)
        self.tree.blockSignals(False)
        self._show_message()
        self.selection_changed.emit()

    def selected_pairs(self) -> list[Pair]:
        """Return the selected pairs, in the order of the table."""
        return [pair for pair in self._pairs if self._is_selected(pair)]

    def select_all(self, selected: bool) -> None:
        """Select all pairs without an issue, or none."""
        for pair in self._pairs:
            if selected and pair.issue is not None:
                self._by_user.pop(pair.key, None)  # it is selected once its issue is resolved
            elif pair.usable:
                self._by_user[pair.key] = selected
        self.show_pairs(self._pairs)

    def _is_selected(self, pair: Pair) -> bool:
        return pair.usable and self._by_user.get(pair.key, pair.preselected)

    def _current_key(self) -> str | None:
        item = self.tree.currentItem()
        return item.data(_IMAGE, Qt.ItemDataRole.UserRole) if item else None

    def _item(self, pair: Pair) -> QTreeWidgetItem:
        sign = "" if pair.issue is None else ("⚠ " if pair.usable else "✗ ")
        item = QTreeWidgetItem([pair.name, f"{sign}{pair.labels}"])
        item.setData(_IMAGE, Qt.ItemDataRole.UserRole, pair.key)
        state = Qt.CheckState.Checked if self._is_selected(pair) else Qt.CheckState.Unchecked
        item.setCheckState(_IMAGE, state)
        if not pair.usable:
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsUserCheckable)
        about = f"{pair.name}: {pair.labels}"
        for column in (_IMAGE, _LABELS):
            item.setToolTip(column, f"{about}. {pair.issue.message}" if pair.issue else about)
        return item

    def _on_changed(self, item: QTreeWidgetItem, column: int) -> None:
        key = item.data(_IMAGE, Qt.ItemDataRole.UserRole)
        self._by_user[key] = item.checkState(_IMAGE) == Qt.CheckState.Checked
        self._show_message()
        self.selection_changed.emit()

    def _show_message(self, *_: object) -> None:
        """Show the issue of the current pair, else what is to be known about all selected ones."""
        key = self._current_key()
        current = next((pair for pair in self._pairs if pair.key == key), None)
        if current is not None and current.issue is not None:
            self.message.setText(f"{current.name}: {current.issue.message}")
        elif not self._pairs:
            self.message.setText(
                "Open images and correct their masks, open an image list, or add a folder."
            )
        else:
            selected = self.selected_pairs()
            count = f"{len(selected)} of {len(self._pairs)} selected."
            self.message.setText(" ".join(issues_of(selected)) or count)
