"""Changes of masks and previews are announced once after a burst."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.conversion import view_layer
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.mask_events import MaskWatcher
from napari_sam2lora.layers.preview import PreviewLayers
from sam2lora.targets import TARGETS

from ..conftest import SHAPE, disk, eye, viewer_with

WAIT = 20_000


@pytest.fixture
def viewer() -> ViewerModel:
    return viewer_with(*eye("disc"))


@pytest.fixture
def watcher(viewer: ViewerModel, qtbot: QtBot) -> MaskWatcher:
    """Watch a viewer whose layers were announced already."""
    watcher = MaskWatcher(viewer)
    with qtbot.waitSignal(watcher.changed, timeout=WAIT):
        watcher.refresh()
    return watcher


def count_changes(watcher: MaskWatcher) -> list[int]:
    changes: list[int] = []
    watcher.changed.connect(lambda: changes.append(1))
    return changes


def test_several_strokes_are_announced_once(
    viewer: ViewerModel, watcher: MaskWatcher, qtbot: QtBot
):
    changes, begun = count_changes(watcher), []
    watcher.changing.connect(lambda: begun.append(1))
    for row in (1, 2, 3):
        viewer.layers["eye disc"].data_setitem((np.array([row]), np.array([0])), 1)
        assert begun == [1]
    qtbot.waitUntil(lambda: bool(changes), timeout=WAIT)
    qtbot.wait(300)
    assert changes == [1]


def test_added_and_removed_masks_are_announced(
    viewer: ViewerModel, watcher: MaskWatcher, qtbot: QtBot
):
    with qtbot.waitSignal(watcher.changed, timeout=WAIT):
        viewer.add_labels(np.zeros(SHAPE, np.uint8), name="cup")
        watcher.refresh()
    with qtbot.waitSignal(watcher.changed, timeout=WAIT):
        viewer.layers.remove("cup")
        watcher.refresh()
    with qtbot.assertNotEmitted(watcher.changed, wait=300):
        watcher.refresh()


def test_hidden_preview_is_announced(viewer: ViewerModel, watcher: MaskWatcher, qtbot: QtBot):
    values = disk(12).astype(np.float32)
    layer = PreviewLayers(viewer).show(viewer.layers["eye"], TARGETS["disc"], values, threshold=0.5)
    with qtbot.waitSignal(watcher.changed, timeout=WAIT):
        watcher.refresh()
    with qtbot.waitSignal(watcher.changed, timeout=WAIT):
        layer.visible = False


def test_images_and_views_are_not_watched(viewer: ViewerModel, watcher: MaskWatcher, qtbot: QtBot):
    image = viewer.layers["eye"]
    errors = view_layer("errors", np.zeros(SHAPE, np.uint8), layer_data(image), "labels")
    view = viewer.add_layer(Layer.create(*errors))
    with qtbot.assertNotEmitted(watcher.changed, wait=300):
        watcher.refresh()
        view.data = np.ones(SHAPE, np.uint8)
        image.visible = False


def test_closed_watcher_announces_nothing(viewer: ViewerModel, watcher: MaskWatcher, qtbot: QtBot):
    labels = viewer.layers["eye disc"]
    labels.data = labels.data.copy()  # the timer runs
    with qtbot.assertNotEmitted(watcher.changed, wait=300):
        watcher.close()
        watcher.refresh()
        labels.data = labels.data.copy()
