"""Errors that a user can cause are notifications, others are raised."""

import pytest
from qtpy.QtWidgets import QPushButton, QVBoxLayout

from napari_sam2lora.qt.dock import Dock
from napari_sam2lora.qt.notifications import notify, reason_first, shortened, show_user_errors
from sam2lora.errors import ImageError


def test_user_error_is_notified_and_other_errors_are_raised(notices: list[str]):
    with show_user_errors():
        raise ImageError("eye.png: the file is empty.")
    assert notices == ["eye.png: the file is empty."]
    with pytest.raises(ZeroDivisionError), show_user_errors():
        raise ZeroDivisionError
    assert len(notices) == 1


def test_reason_precedes_the_folders():
    text = "/data/eyes/left eye/a.jpg: the file is empty. Copy it to /tmp/other/b.jpg again."
    assert reason_first(text) == (
        "a.jpg: the file is empty. Copy it to b.jpg again.\n(in /data/eyes/left eye, /tmp/other)"
    )
    assert reason_first("cup/disc: 1/2 of 3 / 4.") == "cup/disc: 1/2 of 3 / 4."


def test_error_is_notified_with_its_reason_first(notices: list[str]):
    notify("/data/a.jpg: the file is empty.")
    assert notices == ["a.jpg: the file is empty.\n(in /data)"]


LONG = (
    "There is an adapter called 'disc' already. Choose another name, or replace it on the command "
    "line: sam2lora adapters import FILE --name NAME."
)


def test_long_message_is_shown_as_its_first_sentence():
    assert shortened(LONG).startswith("There is an adapter called 'disc' already. More under")
    assert shortened("It failed. Try again.") == "It failed. Try again."
    assert shortened("a" * 500) == "a" * 500


@pytest.mark.viewer
def test_dock_keeps_the_whole_message(qtbot, notices: list[str]):
    dock, part = Dock(), QPushButton()
    qtbot.addWidget(dock)
    QVBoxLayout(dock).addWidget(part)
    with show_user_errors(part):
        raise ImageError(LONG)
    assert notices == [shortened(LONG)]
    assert dock.messages.toPlainText().endswith(LONG)


@pytest.mark.viewer
def test_message_of_no_dock_is_kept_in_one_of_the_window(make_napari_viewer, notices: list[str]):
    notify(LONG)
    assert notices == [LONG]  # no window, no log
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Measurements")
    notify(LONG, kind="info")
    assert notices[1:] == [shortened(LONG)]
    assert dock.messages.toPlainText().endswith(LONG)
