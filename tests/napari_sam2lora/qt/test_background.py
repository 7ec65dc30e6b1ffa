"""Work in a worker thread, and its result on the main thread."""

import pytest
from qtpy.QtCore import QObject

from napari_sam2lora.qt.background import in_background
from sam2lora.errors import SettingsError

pytestmark = pytest.mark.viewer


@pytest.fixture
def reported() -> list[object]:
    return []


def run(qtbot, reported: list[object], work) -> list[Exception]:
    """Run work until its end is reported; return the errors raised on the main thread."""
    owner = QObject()
    with qtbot.capture_exceptions() as raised:
        in_background(owner, work, reported.append, reported.append, lambda: reported.append("end"))
        qtbot.waitUntil(lambda: "end" in reported, timeout=20_000)
        qtbot.wait(50)
    return [error for _, error, _ in raised]


def test_result_is_reported_before_the_end(qtbot, reported) -> None:
    assert run(qtbot, reported, lambda: 7) == []
    assert reported == [7, "end"]


def test_user_error_is_reported_before_the_end(qtbot, reported) -> None:
    problem = SettingsError("no")

    def fail() -> None:
        raise problem

    assert run(qtbot, reported, fail) == []
    assert reported == [problem, "end"]


def test_other_error_is_raised_and_the_end_reported(qtbot, reported) -> None:
    def fail() -> None:
        raise KeyError("disc")

    (raised,) = run(qtbot, reported, fail)
    assert isinstance(raised, KeyError)
    assert reported == ["end"]
