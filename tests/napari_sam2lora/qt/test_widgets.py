"""Small widgets of the docks."""

import pytest
from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import (
    MessageArea,
    Paragraph,
    Section,
    button,
    row,
    two_columns,
)

pytestmark = pytest.mark.viewer


class Counter(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.clicks = 0

    def click(self) -> None:
        self.clicks += 1


def test_button_has_a_handler_and_shows_its_keys(qtbot):
    counter = Counter()
    widget = button("Next", counter.click, keys="Ctrl+Right")
    qtbot.addWidget(widget)
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)
    assert counter.clicks == 1
    assert "Right" in widget.toolTip()
    assert not widget.shortcut()  # a dock behind another tab would not get it


def test_row_keeps_the_order_and_paragraph_wraps(qtbot):
    counter = Counter()
    parent = QWidget()
    qtbot.addWidget(parent)
    layout = QVBoxLayout(parent)
    first, second = button("a", counter.click, tip="what a does"), Paragraph("text " * 50)
    layout.addLayout(row(first, second))
    parent.resize(200, 400)
    layout.activate()
    assert first.geometry().right() < second.geometry().left()
    assert second.heightForWidth(100) > 3 * second.fontMetrics().height()
    assert first.toolTip() == "what a does"


@pytest.mark.parametrize("word", ["a" * 200, "C:\\Users\\me\\" + "eye_2024_" * 20 + ".png"])
def test_long_word_does_not_widen_the_dock(qtbot, word: str):
    widget = Paragraph(f"{word}: is no image.")
    qtbot.addWidget(widget)
    assert widget.minimumSizeHint().width() < 300
    assert widget.text() == f"{word}: is no image."
    widget.setText("")
    assert widget.text() == ""


def test_table_has_its_headings(qtbot):
    table = two_columns("Metric", "Value")
    qtbot.addWidget(table)
    headings = [table.horizontalHeaderItem(column).text() for column in range(2)]
    assert (headings, table.rowCount()) == (["Metric", "Value"], 0)


def test_section_is_collapsed_until_its_title_is_clicked(qtbot):
    content = QWidget()
    section = Section("Advanced", content)
    qtbot.addWidget(section)
    section.show()
    assert not content.isVisible()
    for shown in (True, False):
        with qtbot.waitSignal(section.toggled) as signal:
            section.title.click()
        assert signal.args == [shown]
        assert content.isVisible() == shown


@pytest.mark.parametrize("points", [8, 10, 15])
@pytest.mark.parametrize("lines", [2, 4])
def test_message_area_has_room_for_its_lines_in_any_font(qtbot, points: int, lines: int):
    message = Paragraph()
    area = MessageArea(message, lines=lines)
    area.resize(300, area.height())
    qtbot.addWidget(area)
    area.show()
    message.setStyleSheet(f"font-size: {points}pt;")
    heights = set()
    for text in ("", "one", "\n".join(["line"] * lines)):
        message.setText(text)
        qtbot.wait(20)
        assert area.verticalScrollBar().maximum() == 0
        heights.add(area.height())
    assert len(heights) == 1
    message.setText("\n".join(["line"] * (lines + 2)))
    qtbot.wait(20)
    assert area.verticalScrollBar().maximum() > 0
    assert {area.height()} == heights
