"""Targets are requested once for each image that is shown."""

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora._settings import preferences, set_segmented_on_opening
from napari_sam2lora.image_list.dock import ImageListDock
from napari_sam2lora.layers.lookup import fundus_images
from napari_sam2lora.layers.masks import add_mask
from napari_sam2lora.segmentation.request_queue import RequestQueue
from sam2lora.targets import TARGETS

from ..helpers import press
from ..segmentation_window import WAIT, Window

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


def test_masks_that_were_saved_are_not_segmented_again_when_their_folder_is_opened(
    make_napari_viewer, drive: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
):
    """The image is added before its masks; a preview over them could be accepted by one key."""
    viewer = make_napari_viewer()
    viewer.open(drive, plugin="napari-sam2lora")
    (images,) = (
        one for one in viewer.window.dock_widgets.values() if isinstance(one, ImageListDock)
    )
    mask = add_mask(viewer, fundus_images(viewer.layers)[0], TARGETS["disc"])
    mask.data[5:9, 5:9] = mask.selected_label
    mask.refresh()
    assert images.save()
    set_segmented_on_opening(True, tuple(TARGETS))
    asked: list[str] = []
    monkeypatch.setattr(
        RequestQueue, "submit", lambda self, image, target: asked.append(target.name)
    )
    monkeypatch.setattr(RequestQueue, "submit_ahead", lambda *_: None)
    another = make_napari_viewer()
    another.open(drive, plugin="napari-sam2lora")
    qtbot.waitUntil(lambda: bool(asked), timeout=WAIT)
    assert asked == ["cup"]  # DRIVE has the vessels
