"""Errors of the input are notifications, defects are not."""

import pytest

from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.errors import ImageError


def test_a_users_error_is_told_and_a_defect_goes_on(notices: list[str]):
    with show_user_errors():
        raise ImageError("eye.png: the file is empty.")
    assert notices == ["eye.png: the file is empty."]
    with pytest.raises(ZeroDivisionError), show_user_errors():
        raise ZeroDivisionError
    assert len(notices) == 1
