"""Errors that a user can cause are notifications, others are raised."""

import pytest

from napari_sam2lora.qt.notifications import notify, reason_first, show_user_errors
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
