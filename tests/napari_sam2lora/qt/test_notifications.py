"""Errors that a user can cause are notifications, others are raised."""

import pytest

from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.errors import ImageError


def test_user_error_is_notified_and_other_errors_are_raised(notices: list[str]):
    with show_user_errors():
        raise ImageError("eye.png: the file is empty.")
    assert notices == ["eye.png: the file is empty."]
    with pytest.raises(ZeroDivisionError), show_user_errors():
        raise ZeroDivisionError
    assert len(notices) == 1
