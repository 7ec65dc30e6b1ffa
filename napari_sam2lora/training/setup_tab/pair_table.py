"""The table of images with labels, to tick."""

from collections.abc import Sequence

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem, QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph
from napari_sam2lora.training.data.pairs import Pair, issues_of

_IMAGE, _LABELS = range(2)


class PairTable(QWidget):
    """Shows pairs with ticks; what is wrong with one is said where it is selected, and as its tip.

    Signals
    -------
    selection_changed()
        Other pairs are ticked than before.
    """

    selection_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._pairs: list[Pair] = []
        self._chosen: dict[str, bool] = {}
        self.tree = QTreeWidget()
        self.tree.setHeaderLabels(["image", "labels"])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        header = self.tree.header()
        header.setStretchLastSection(False)
        for column in (_IMAGE, _LABELS):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        self.tree.itemChanged.connect(self._on_changed)
        self.tree.currentItemChanged.connect(self._show_message)
        self.words = Paragraph()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.tree, stretch=1)
        layout.addWidget(self.words)

    def show_pairs(self, pairs: Sequence[Pair]) -> None:
        """Show other pairs; those that were ticked or not by hand stay so, by their keys."""
        current = self.tree.currentItem()
        selected = current.data(_IMAGE, Qt.ItemDataRole.UserRole) if current else None
        self._pairs = list(pairs)
        self.tree.blockSignals(True)
        self.tree.clear()
        for pair in self._pairs:
            item = self._item(pair)
            self.tree.addTopLevelItem(item)
            if pair.key == selected:
                self.tree.setCurrentItem(item)
        self.tree.blockSignals(False)
        self._show_message()
        self.selection_changed.emit()

    def selected_pairs(self) -> list[Pair]:
        """Give the pairs that are ticked, in their order."""
        return [pair for pair in self._pairs if self._is_ticked(pair)]

    def select_all(self, ticked: bool) -> None:
        """Tick all pairs that can be trained on without doubt, or none."""
        for pair in self._pairs:
            if ticked and pair.issue is not None:
                self._chosen.pop(pair.key, None)  # once nothing is wrong with it, it counts too
            elif not pair.refused:
                self._chosen[pair.key] = ticked
        self.show_pairs(self._pairs)

    def _is_ticked(self, pair: Pair) -> bool:
        return not pair.refused and self._chosen.get(pair.key, pair.proposed)

    def _item(self, pair: Pair) -> QTreeWidgetItem:
        sign = "" if pair.issue is None else ("✗ " if pair.refused else "⚠ ")
        item = QTreeWidgetItem([pair.name, f"{sign}{pair.labels}"])
        item.setData(_IMAGE, Qt.ItemDataRole.UserRole, pair.key)
        state = Qt.CheckState.Checked if self._is_ticked(pair) else Qt.CheckState.Unchecked
        item.setCheckState(_IMAGE, state)
        if pair.refused:
            item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsUserCheckable)
        about = f"{pair.name}: {pair.labels}"
        for column in (_IMAGE, _LABELS):
            item.setToolTip(column, f"{about}. {pair.issue.message}" if pair.issue else about)
        return item

    def _on_changed(self, item: QTreeWidgetItem, column: int) -> None:
        key = item.data(_IMAGE, Qt.ItemDataRole.UserRole)
        self._chosen[key] = item.checkState(_IMAGE) == Qt.CheckState.Checked
        self._show_message()
        self.selection_changed.emit()

    def _show_message(self, *_: object) -> None:
        """Say what is wrong with the selected pair, else what is to be known about all ticked."""
        current = self.tree.currentItem()
        key = current.data(_IMAGE, Qt.ItemDataRole.UserRole) if current else None
        pair = next((one for one in self._pairs if one.key == key), None)
        if pair is not None and pair.issue is not None:
            self.words.setText(f"{pair.name}: {pair.issue.message}")
            return
        ticked = self.selected_pairs()
        if not self._pairs:
            self.words.setText(
                "Open photographs and correct their masks, open an image list, or add a folder."
            )
        else:
            about = f"{len(ticked)} of {len(self._pairs)} are ticked."
            self.words.setText(" ".join(issues_of(ticked)) or about)
