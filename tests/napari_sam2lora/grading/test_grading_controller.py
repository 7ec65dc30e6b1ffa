"""What the dock's parts ask for is done, and said."""

from collections.abc import Callable

import pytest

from napari_sam2lora.grading.dock import GradeDock
from sam2lora.errors import SessionError

from .conftest import mask_layer, paint

pytestmark = pytest.mark.viewer


def test_finished_images_are_announced(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    finished: list[str] = []
    dock.grading.finished.connect(finished.append)
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    dock.panel.finish()
    dock.panel.skip()
    assert finished == ["eye1"]


def test_back_goes_through_what_was_shown(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    for stem in ("eye3", "eye2"):
        dock.grading.go(stem)
    dock.grading.go_back()
    assert dock.work.stem == "eye3"
    dock.grading.go_back()
    assert dock.work.stem == "eye1"
    dock.grading.go_back()
    assert dock.work.stem == "eye1"


def test_a_name_that_cannot_be_used_starts_nothing(open_dock: Callable[..., GradeDock]):
    dock = open_dock(start=False)
    with pytest.raises(SessionError):
        dock.grading.begin(dock.opener.session, "majority", "Grade")
    assert dock.work is None
