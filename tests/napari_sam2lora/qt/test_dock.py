"""Docks are tabs of one area, scroll, and keep their keys behind another tab."""

import pytest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import QDockWidget, QLabel, QMainWindow, QPushButton, QWidget

from napari_sam2lora.qt.dock import Dock, fit_onto, main_window, scrolling


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(QWidget())
    window.show()
    qtbot.waitExposed(window)
    return window


def add(window: QMainWindow, dock: QWidget) -> QDockWidget:
    """Add a dock as napari does, below the others."""
    frame = QDockWidget(window)
    frame.setWidget(dock)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, frame)
    return frame


def test_docks_become_tabs_of_one_area_and_others_stay(window: QMainWindow, qtbot: QtBot):
    other = add(window, QLabel("of another plugin"))
    first, second = add(window, Dock()), add(window, Dock())
    qtbot.waitUntil(lambda: window.tabifiedDockWidgets(first) == [second])
    assert window.tabifiedDockWidgets(other) == []
    third = add(window, Dock())
    qtbot.waitUntil(lambda: len(window.tabifiedDockWidgets(third)) == 2)


def test_window_is_widened_within_the_screen(window: QMainWindow, qtbot: QtBot):
    window.resize(500, 400)
    add(window, Dock())
    qtbot.waitUntil(lambda: window.centralWidget().width() >= 500)
    screen = window.screen().availableGeometry()
    assert window.frameGeometry().width() <= screen.width()
    add(window, Dock(width=screen.width() - 300))
    qtbot.waitUntil(lambda: window.width() > screen.width() - 100)
    assert window.frameGeometry().width() <= screen.width()


def test_window_below_the_edge_of_a_small_screen_is_brought_back(window: QMainWindow, qtbot: QtBot):
    screen = window.screen().availableGeometry()
    window.resize(600, screen.height() + 100)
    window.move(screen.width() - 200, screen.height() - 100)
    add(window, Dock())
    qtbot.waitUntil(lambda: screen.contains(window.frameGeometry()))
    window.move(-50, -50)
    add(window, Dock())
    qtbot.waitUntil(lambda: screen.contains(window.frameGeometry()))


def test_window_that_grows_below_the_edge_later_is_brought_back(window: QMainWindow, qtbot: QtBot):
    add(window, Dock())
    qtbot.wait(700)
    screen = window.screen().availableGeometry()
    window.move(0, 200)
    window.centralWidget().setMinimumHeight(screen.height() - 150)
    qtbot.waitUntil(lambda: window.height() > screen.height() - 200)
    qtbot.waitUntil(lambda: screen.contains(window.frameGeometry()))
    window.resize(400, 300)
    qtbot.wait(700)
    assert window.width() <= 700  # the user narrowed it


def test_window_inside_the_screen_stays_where_it_is(window: QMainWindow):
    before = window.geometry()
    fit_onto(window.screen().availableGeometry(), window, width=before.width())
    assert window.geometry() == before


def test_tab_shows_the_name_of_its_dock_whole(window: QMainWindow, qtbot: QtBot):
    frame = add(window, Dock())
    frame.setWindowTitle("Image list (SAM2-LoRA fundus)")
    qtbot.waitUntil(lambda: frame.windowTitle() == "Image list")


def test_dock_of_another_area_stays_there(window: QMainWindow, qtbot: QtBot):
    first, second = add(window, Dock()), QDockWidget(window)
    second.setWidget(Dock())
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, second)
    qtbot.wait(50)
    assert window.tabifiedDockWidgets(first) == []


def test_parts_above_and_below_stay_in_view(window: QMainWindow, qtbot: QtBot):
    dock, content = Dock(), QLabel("tall")
    content.setMinimumHeight(5000)
    above, below = QPushButton("Segment"), QPushButton("Accept")
    dock.fill(content, above=above, below=below)
    add(window, dock)
    window.resize(800, 400)
    qtbot.waitUntil(lambda: dock.height() < 500)
    for part in (above, below):
        assert dock.rect().contains(part.geometry())


def test_key_works_behind_another_tab_until_the_dock_is_removed(window: QMainWindow, qtbot: QtBot):
    dock, pressed = Dock(), []
    dock.add_key("Ctrl+PgDown", lambda: pressed.append(True))
    frame = add(window, dock)
    qtbot.waitUntil(lambda: bool(window.findChildren(QShortcut)))
    add(window, Dock())
    qtbot.waitUntil(lambda: dock.visibleRegion().isEmpty())
    (shortcut,) = window.findChildren(QShortcut)
    assert shortcut.parent() is window  # a hidden widget would block its own
    shortcut.activated.emit()
    assert pressed == [True]
    dock.setParent(None)
    window.removeDockWidget(frame)
    qtbot.waitUntil(lambda: not window.findChildren(QShortcut))
    assert main_window(dock) is None


def test_scrolling_area_is_as_wide_as_its_content_needs(qtbot: QtBot):
    area = scrolling(QLabel("one line"))
    qtbot.addWidget(area)
    assert area.widgetResizable()
    assert area.horizontalScrollBarPolicy() == Qt.ScrollBarPolicy.ScrollBarAlwaysOff
