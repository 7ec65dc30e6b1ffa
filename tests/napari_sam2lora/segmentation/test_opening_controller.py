"""Targets are requested once for each image that is shown."""

import pytest

from napari_sam2lora._settings import preferences
from napari_sam2lora.layers.masks import add_mask
from sam2lora.targets import TARGETS

from ..helpers import press
from ..segmentation_window import Window

pytestmark = pytest.mark.viewer


@pytest.fixture
def submitted(window: Window, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    queue = window.session.queue
    monkeypatch.setattr(queue, "submit", lambda image, target: names.append(target.name))
    return names


def test_switch_requests_the_targets_without_a_mask(window: Window, submitted: list[str]):
    mask = add_mask(window.viewer, window.session.image, TARGETS["cup"])
    mask.data[5, 5] = 1
    press(window.dock, "Segment on opening")
    assert submitted == ["vessel", "disc"]
    assert preferences().segment_on_opening
    assert set(preferences().opening_targets) == set(TARGETS)
    window.dock.opening.refresh()
    assert submitted == ["vessel", "disc"]  # of this image, once


def test_nothing_is_requested_while_the_switch_is_off(window: Window, submitted: list[str]):
    window.dock.opening.refresh()
    window.session.selection_changed.emit()
    assert submitted == []
