"""Parts of docks."""

import pytest
from qtpy.QtCore import QObject, Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam2lora.qt.widgets import Paragraph, button, row

pytestmark = pytest.mark.viewer


class Counter(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.clicks = 0

    def click(self) -> None:
        self.clicks += 1


def test_a_button_is_pressed_by_the_mouse_and_by_its_keys(qtbot):
    counter = Counter()
    made = button("Next", counter.click, keys="Ctrl+Right")
    qtbot.addWidget(made)
    qtbot.mouseClick(made, Qt.MouseButton.LeftButton)
    assert counter.clicks == 1
    assert made.shortcut().toString() == "Ctrl+Right"
    assert "Right" in made.toolTip()


def test_a_row_holds_its_widgets_in_order_and_a_paragraph_wraps(qtbot):
    counter = Counter()
    parent = QWidget()
    qtbot.addWidget(parent)
    layout = QVBoxLayout(parent)
    first, second = button("a", counter.click, tip="what a does"), Paragraph("words " * 50)
    layout.addLayout(row(first, second))
    parent.resize(200, 400)
    layout.activate()
    assert first.geometry().right() < second.geometry().left()
    assert second.heightForWidth(100) > 3 * second.fontMetrics().height()
    assert first.toolTip() == "what a does"


@pytest.mark.parametrize("word", ["a" * 200, "C:\\Users\\me\\" + "eye_2024_" * 20 + ".png"])
def test_a_long_word_makes_no_dock_wide(qtbot, word: str):
    made = Paragraph(f"{word}: is no image.")
    qtbot.addWidget(made)
    assert made.minimumSizeHint().width() < 300
    assert made.text() == f"{word}: is no image."
    made.setText("")
    assert made.text() == ""
