"""A dock is asked before its main window closes."""

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

from napari_sam2lora.qt.close_guard import CloseGuard

pytestmark = pytest.mark.viewer


class Asked:
    """Answer whether the window may close, and count how often."""

    def __init__(self) -> None:
        self.count, self.may_close = 0, True

    def __call__(self) -> bool:
        self.count += 1
        return self.may_close


@pytest.fixture
def docked(qtbot) -> tuple[QMainWindow, QDockWidget, QWidget]:
    """Open a main window with a dock."""
    window, frame, dock = QMainWindow(), QDockWidget(), QWidget()
    qtbot.addWidget(window)
    frame.setWidget(dock)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, frame)
    window.show()
    return window, frame, dock


def test_window_closes_only_if_the_dock_allows_it(docked):
    window, _, dock = docked
    asked = Asked()
    CloseGuard(dock, asked).refresh()
    asked.may_close = False
    assert not window.close()
    assert window.isVisible()
    asked.may_close = True
    assert window.close()
    assert asked.count == 2


def test_dock_is_asked_once_after_several_refreshes(docked):
    window, _, dock = docked
    asked = Asked()
    guard = CloseGuard(dock, asked)
    guard.refresh()
    guard.refresh()
    window.close()
    assert asked.count == 1


def test_main_window_of_a_floating_dock_is_watched(docked):
    window, frame, dock = docked
    frame.setFloating(True)
    asked = Asked()
    CloseGuard(dock, asked).refresh()
    window.close()
    assert asked.count == 1


def test_closing_the_dock_alone_does_not_ask(docked):
    _, frame, dock = docked
    asked = Asked()
    CloseGuard(dock, asked).refresh()
    frame.close()
    assert asked.count == 0


def test_dock_without_a_window_is_not_watched(qtbot):
    dock, asked = QWidget(), Asked()
    qtbot.addWidget(dock)
    CloseGuard(dock, asked).refresh()
    dock.close()
    assert asked.count == 0


def test_released_window_closes_without_asking(docked):
    window, _, dock = docked
    asked = Asked()
    guard = CloseGuard(dock, asked)
    guard.refresh()
    guard.release()
    guard.release()
    assert window.close()
    assert asked.count == 0
