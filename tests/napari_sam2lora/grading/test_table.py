"""The list of images is sorted by any column, filtered, and follows changes."""

from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt

from napari_sam2lora.grading.rows import ImageRow
from napari_sam2lora.grading.table import COLUMNS, ImageTable

ROWS = [
    ImageRow("b", "1", "to do", None, "", "", 10.0, None, "", "ben"),
    ImageRow("a", "2", "done", "no", "dark", "", 9.0, 0.2, "why", ""),
    ImageRow("c", "3", "flagged", "gradable", "", "two discs", 0.0, 0.7, "why", ""),
]


@pytest.fixture
def table(qtbot: QtBot) -> ImageTable:
    table = ImageTable()
    qtbot.addWidget(table)
    table.show_rows(ROWS)
    return table


def sort(table: ImageTable, heading: str, order: Qt.SortOrder) -> list[str]:
    table.sortByColumn([name for name, *_ in COLUMNS].index(heading), order)
    return table.listed()


def test_images_are_listed_in_their_order(table: ImageTable):
    assert table.listed() == ["b", "a", "c"]


def test_columns_sort_by_their_values(table: ImageTable):
    up, down = Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder
    assert sort(table, "Image", up) == ["a", "b", "c"]
    assert sort(table, "Min", up) == ["c", "a", "b"], "as numbers: 9 before 10"
    assert sort(table, "Doubt", down) == ["c", "a", "b"]
    assert sort(table, "State", up) == ["b", "a", "c"], "as work goes on"
    assert sort(table, "Quality", up) == ["c", "a", "b"], "from the best"
    assert sort(table, "Others", down)[0] == "b"


def test_others_are_a_column_only_if_there_are_any(table: ImageTable):
    number = [name for name, *_ in COLUMNS].index("Others")
    assert not table.isColumnHidden(number)
    table.show_rows(ROWS[1:])
    assert table.isColumnHidden(number)


def test_a_change_is_filtered_and_sorted(table: ImageTable):
    table.set_filter("To do or started")
    assert table.listed() == ["b"]
    table.show_row(replace(ROWS[0], state="done"))
    assert table.listed() == []
    table.set_filter("Done")
    assert table.listed() == ["b", "a"]
    table.show_row(replace(ROWS[0], stem="none of the session"))
    assert table.listed() == ["b", "a"]


def test_a_click_chooses_an_image(table: ImageTable, qtbot: QtBot):
    table.select("c")
    assert table.currentIndex().siblingAtColumn(0).data() == "c"
    with qtbot.waitSignal(table.chosen) as chosen:
        table.clicked.emit(table.currentIndex())
    assert chosen.args == ["c"]
    assert "two discs" in table.currentIndex().data(Qt.ItemDataRole.ToolTipRole)
