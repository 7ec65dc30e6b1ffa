"""The image list and the Segment dock in one window: from image to image."""

from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from pytestqt.qtbot import QtBot

from napari_sam2lora.image_list.dock import ImageListDock
from napari_sam2lora.qt.worker import ReportProgress
from napari_sam2lora.segmentation.dock import SegmentDock
from napari_sam2lora.segmentation.requests import SegmentationRequest, SegmentationResult

from ..segmentation_window import WAIT
from .conftest import make_result

PLUGIN = "napari-sam2lora"

pytestmark = pytest.mark.viewer


def open_docks(viewer: Viewer, folder: Path) -> tuple[ImageListDock, SegmentDock]:
    """Open a folder with both docks; a stand-in segments."""
    viewer.open(folder, plugin=PLUGIN)
    (images,) = (
        one for one in viewer.window.dock_widgets.values() if isinstance(one, ImageListDock)
    )
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    dock.session.queue.engine.segment = segment
    return images, dock


def segment(request: SegmentationRequest, report: ReportProgress) -> SegmentationResult:
    report("Segmenting", 0, 1)
    return make_result(request)


@pytest.mark.slow
def test_a_hundred_images_are_segmented_one_after_the_other(
    make_napari_viewer, drive: Path, qtbot: QtBot
):
    viewer = make_napari_viewer(show=True)
    images, dock = open_docks(viewer, drive)
    for _ in range(100):
        images.go((images.images.current + 1) % 2)
        qtbot.wait(1)
        dock.session.set_target("disc")
        dock.segment()
        key = (images.images.path, "disc")
        qtbot.waitUntil(lambda key=key: key in dock.session.results.latest, timeout=WAIT)
        dock.accept()
    assert dock.session.image in viewer.layers
    assert viewer.layers[0].name == "01_test"
    assert len(viewer.layers) == 5  # image, vessel, disc, and of the disc points and preview


def test_session_follows_the_image_that_the_layer_shows(
    make_napari_viewer, drive: Path, qtbot: QtBot
):
    viewer = make_napari_viewer()
    images, dock = open_docks(viewer, drive)
    session = dock.session
    qtbot.waitUntil(lambda: session.image is not None, timeout=WAIT)
    layer, before = session.image, session.target_key
    images.step(1)
    qtbot.waitUntil(lambda: dock.targets.images.currentText() == "21_training", timeout=WAIT)
    assert session.image == layer
    assert session.target_key != before
    assert session.target_key[0] == images.images.path
    np.testing.assert_array_equal(viewer.layers[0].data, layer.data)
