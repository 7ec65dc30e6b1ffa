"""Work in a thread, and what is told of it in the window."""

import pytest
from qtpy.QtCore import QObject

from napari_sam2lora.qt.background import in_background
from sam2lora.errors import SettingsError

pytestmark = pytest.mark.viewer


@pytest.fixture
def told() -> list[object]:
    return []


def ask(qtbot, told: list[object], work) -> list[Exception]:
    """Let work be done, until its end is told; give what was raised in the window."""
    owner = QObject()
    with qtbot.capture_exceptions() as raised:
        in_background(owner, work, told.append, told.append, lambda: told.append("end"))
        qtbot.waitUntil(lambda: "end" in told, timeout=20_000)
        qtbot.wait(50)
    return [error for _, error, _ in raised]


def test_what_came_of_it_is_told_and_then_the_end(qtbot, told) -> None:
    assert ask(qtbot, told, lambda: 7) == []
    assert told == [7, "end"]


def test_a_users_error_is_told_and_then_the_end(qtbot, told) -> None:
    problem = SettingsError("no")

    def fail() -> None:
        raise problem

    assert ask(qtbot, told, fail) == []
    assert told == [problem, "end"]


def test_any_other_error_is_raised_and_the_end_is_told(qtbot, told) -> None:
    def fail() -> None:
        raise KeyError("disc")

    (raised,) = ask(qtbot, told, fail)
    assert isinstance(raised, KeyError)
    assert told == ["end"]
