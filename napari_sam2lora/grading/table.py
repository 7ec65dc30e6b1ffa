"""The list of a session's images: sorted by any column, filtered, and quick with thousands."""

from collections.abc import Callable, Sequence
from typing import Any

from qtpy.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QSortFilterProxyModel,
    Qt,
    Signal,
)
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from napari_sam2lora.grading.rows import FILTERS, ImageRow
from sam2lora.grading.agreement import QUALITIES, STATES

_UNKNOWN = -1.0  # sorts before any doubt

COLUMNS: tuple[tuple[str, Callable[[ImageRow], str], Callable[[ImageRow], Any]], ...] = (
    ("Image", lambda row: row.stem, lambda row: row.stem),
    ("State", lambda row: row.state, lambda row: STATES.index(row.state)),
    (
        "Quality",
        lambda row: row.quality or "",
        lambda row: QUALITIES.index(row.quality) if row.quality else len(QUALITIES),
    ),
    ("Min", lambda row: f"{row.minutes:.1f}" if row.minutes else "", lambda row: row.minutes),
    (
        "Doubt",
        lambda row: "" if row.doubt is None else f"{row.doubt:.2f}",
        lambda row: _UNKNOWN if row.doubt is None else row.doubt,
    ),
    ("Others", lambda row: row.others, lambda row: row.others),
    ("Comment", lambda row: row.comment or row.reason, lambda row: row.comment or row.reason),
)
"""Heading of each column, its text, and what it is sorted by."""

_OTHERS = [heading for heading, *_ in COLUMNS].index("Others")


class _Rows(QAbstractTableModel):
    """The rows as Qt asks for them."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[ImageRow] = []

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(self.rows)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return 0 if parent is not None and parent.isValid() else len(COLUMNS)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section][0]
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        row, (_, text, key) = self.rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return text(row)
        if role == Qt.ItemDataRole.UserRole:
            return key(row)
        return row.tip if role == Qt.ItemDataRole.ToolTipRole else None


class _Shown(QSortFilterProxyModel):
    """The rows that are shown."""

    def __init__(self, source: _Rows) -> None:
        super().__init__()
        self._source, self._wanted = source, next(iter(FILTERS.values()))
        self.setSourceModel(source)
        self.setSortRole(Qt.ItemDataRole.UserRole)

    def set_filter(self, name: str) -> None:
        self._wanted = FILTERS[name]
        self.invalidate()

    def filterAcceptsRow(self, row: int, parent: QModelIndex) -> bool:
        return self._wanted(self._source.rows[row])


class ImageTable(QTableView):
    """A table with a row for each image.

    Signals
    -------
    chosen(stem)
        The user wants to see an image.
    """

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._rows = _Rows()
        self._shown = _Shown(self._rows)
        self._index: dict[str, int] = {}
        self.setModel(self._shown)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setWordWrap(False)
        self.setToolTip("Click an image to show it, a heading to sort by it")
        below = self.verticalHeader()
        above = self.horizontalHeader()
        if below is not None and above is not None:
            below.hide()
            below.setDefaultSectionSize(self.fontMetrics().height() + 6)
            above.setStretchLastSection(True)
            above.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
            for column, share in enumerate((8, 6, 9, 4, 5, 6)):
                above.resizeSection(column, share * self.fontMetrics().averageCharWidth() + 14)
            above.setSortIndicator(-1, Qt.SortOrder.AscendingOrder)  # as listed
        self.setSortingEnabled(True)
        self.clicked.connect(self._on_clicked)
        self.activated.connect(self._on_clicked)

    def show_rows(self, rows: Sequence[ImageRow]) -> None:
        """Show rows in place of those before."""
        self._rows.beginResetModel()
        self._rows.rows = list(rows)
        self._index = {row.stem: number for number, row in enumerate(rows)}
        self._rows.endResetModel()
        # Docks are narrow, and most sessions begin with one grader.
        self.setColumnHidden(_OTHERS, not any(row.others for row in rows))

    def show_row(self, row: ImageRow) -> None:
        """Show a row in place of that of the same image."""
        number = self._index.get(row.stem)
        if number is not None:
            self._rows.rows[number] = row
            last = self._rows.index(number, len(COLUMNS) - 1)
            self._rows.dataChanged.emit(self._rows.index(number, 0), last)

    def set_filter(self, name: str) -> None:
        """Show the rows of a filter, one of `FILTERS`."""
        self._shown.set_filter(name)

    def select(self, stem: str) -> None:
        """Select the row of an image, if it is listed."""
        index = self._shown.mapFromSource(self._rows.index(self._index.get(stem, -1), 0))
        selection = self.selectionModel()
        if index.isValid() and selection is not None:
            flags = QItemSelectionModel.SelectionFlag
            selection.setCurrentIndex(index, flags.ClearAndSelect | flags.Rows)
            self.scrollTo(index)

    def listed(self) -> list[str]:
        """Return the images that are listed, from the top."""
        shown = (self._shown.index(number, 0) for number in range(self._shown.rowCount()))
        return [str(index.data()) for index in shown]

    def _on_clicked(self, index: QModelIndex) -> None:
        self.chosen.emit(str(index.siblingAtColumn(0).data()))
