"""The measurements of one eye in groups that can be collapsed."""

from collections.abc import Iterable

from qtpy.QtGui import QBrush, QFont, QPalette
from qtpy.QtWidgets import QHeaderView, QTreeWidget, QTreeWidgetItem

from napari_sam2lora.measurements.rows import MeasurementRow

_KNOWN = {"rim": "Rim ", "vessels": "Vessel "}  # what the name of the group says; docks are narrow
_HEADINGS = ("Measurement", "Value", "Confidence")
_PALE = 110  # opacity of outdated values, of 255


class MeasurementTree(QTreeWidget):
    """A tree of measurements: groups, parts of groups, and the measurements themselves."""

    def __init__(self) -> None:
        super().__init__()
        self.setHeaderLabels(_HEADINGS)
        self.headerItem().setToolTip(
            len(_HEADINGS) - 1,
            "The lowest confidence (0 to 1) of the predictions that the value is of, and whether "
            "the value is outside the normal range",
        )
        self.setRootIsDecorated(True)
        self.setIndentation(12)
        self.setAlternatingRowColors(False)
        header = self.header()
        header.setStretchLastSection(False)
        for column, mode in enumerate(
            (
                QHeaderView.ResizeMode.Stretch,
                QHeaderView.ResizeMode.ResizeToContents,
                QHeaderView.ResizeMode.ResizeToContents,
            )
        ):
            header.setSectionResizeMode(column, mode)
        self._items: dict[tuple[str, ...], QTreeWidgetItem] = {}
        self._outdated = False

    def show_rows(self, rows: Iterable[MeasurementRow]) -> None:
        """Show rows; what is collapsed and where it is scrolled to stay."""
        for row in rows:
            parent = self._branch((row.group,), expanded=True)
            if row.part:
                parent = self._branch((row.group, row.part), expanded=False)
            item = self._item((row.group, row.part, row.name), parent)
            note = "; ".join(filter(None, ("outside" if row.outside else "", row.confidence)))
            label = row.label.removeprefix(_KNOWN.get(row.group, "")).removesuffix(" ratio")
            label = label[:1].upper() + label[1:]
            for column, text in enumerate((label, row.value, note)):
                item.setText(column, text)
                tip = "\n".join(filter(None, (row.outside, row.tip)))
                item.setToolTip(column, tip)
            font = QFont(self.font())
            font.setBold(bool(row.outside))
            item.setFont(1, font)
        self._show_state()

    def mark_outdated(self, *, outdated: bool) -> None:
        """Show values pale and in italics while they are out of date."""
        if outdated != self._outdated:
            self._outdated = outdated
            self._show_state()

    def empty(self) -> None:
        """Show no measurements."""
        self.clear()
        self._items.clear()

    def _show_state(self) -> None:
        brush = QBrush()  # the color of the theme
        if self._outdated:
            color = self.palette().color(QPalette.ColorRole.Text)
            color.setAlpha(_PALE)
            brush = QBrush(color)
        for item in self._items.values():
            for column in range(1, len(_HEADINGS)):
                font = item.font(column)
                font.setItalic(self._outdated)
                item.setFont(column, font)
                item.setForeground(column, brush)

    def _branch(self, key: tuple[str, ...], *, expanded: bool) -> QTreeWidgetItem:
        if key in self._items:
            return self._items[key]
        above = self._items[key[:-1]] if len(key) > 1 else self.invisibleRootItem()
        item = self._item(key, above)
        item.setText(0, key[-1][:1].upper() + key[-1][1:])
        item.setExpanded(expanded)
        return item

    def _item(self, key: tuple[str, ...], parent: QTreeWidgetItem | None) -> QTreeWidgetItem:
        if key not in self._items:
            self._items[key] = QTreeWidgetItem(parent)
        return self._items[key]
