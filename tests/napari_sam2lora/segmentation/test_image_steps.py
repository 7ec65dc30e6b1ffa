"""The image list and the Segment dock in one window: from image to image."""

import threading
from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Labels
from pytestqt.qtbot import QtBot

from napari_sam2lora.image_list.dock import ImageListDock
from napari_sam2lora.qt.dock import main_window
from napari_sam2lora.qt.worker import ReportProgress
from napari_sam2lora.segmentation.dock import SegmentDock
from napari_sam2lora.segmentation.requests import SegmentationRequest, SegmentationResult
from sam2lora.targets import TARGETS, selectable_targets

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


def test_first_click_in_the_next_image_adds(make_napari_viewer, drive: Path, qtbot: QtBot):
    viewer = make_napari_viewer()
    images, dock = open_docks(viewer, drive)
    qtbot.waitUntil(lambda: dock.session.image is not None, timeout=WAIT)
    before = dock.session.target_key
    dock.toggle_positive()
    images.step(1)
    qtbot.waitUntil(lambda: dock.session.prompts.positive, timeout=WAIT)
    assert dock.session.target_key != before


def test_prompts_of_a_hidden_target_go_with_their_image(
    make_napari_viewer, drive: Path, qtbot: QtBot
):
    viewer = make_napari_viewer()
    images, dock = open_docks(viewer, drive)
    qtbot.waitUntil(lambda: dock.session.image is not None, timeout=WAIT)
    dock.session.set_target("disc")
    dock.use_points()
    points = dock.session.prompts.points(dock.session.image, TARGETS["disc"])
    points.add([[20.0, 20.0]])
    dock.session.set_target("vessel")
    assert not points.visible
    images.step(1)  # an IndexError of napari 0.9.2
    qtbot.waitUntil(lambda: dock.session.target_key[0] == images.images.path, timeout=WAIT)
    assert len(points.data) == 0
    dock.toggle_positive()
    images.step(-1)
    qtbot.waitUntil(lambda: len(points.data) == 1, timeout=WAIT)


def ready(dock: SegmentDock, *targets: str) -> bool:
    """Check whether the current image has results for exactly these targets."""
    key = dock.session.target_key
    found = {target for image, target in dock.session.results.latest if key and image == key[0]}
    return found == set(targets)


def remove_masks(viewer: Viewer) -> None:
    for layer in [layer for layer in viewer.layers if isinstance(layer, Labels)]:
        viewer.layers.remove(layer)


def test_results_return_with_their_image(make_napari_viewer, drive: Path, qtbot: QtBot):
    viewer = make_napari_viewer()
    images, dock = open_docks(viewer, drive)
    dock.session.set_target("disc")
    dock.segment()
    qtbot.waitUntil(lambda: ready(dock, "disc"), timeout=WAIT)
    dock.session.set_threshold(0.3)
    images.step(1)
    qtbot.waitUntil(lambda: ready(dock), timeout=WAIT)
    preview = next(layer for layer in viewer.layers if layer.name.endswith("preview"))
    assert not preview.visible
    images.step(-1)
    qtbot.waitUntil(lambda: ready(dock, "disc"), timeout=WAIT)
    assert preview.visible
    assert preview.data.max() == pytest.approx(0.8, abs=1e-3)
    assert dock.session.results.threshold(dock.session.target_key) == 0.3
    dock.accept()
    assert viewer.layers["01_test disc"].data.any()
    images.step(1)
    qtbot.waitUntil(lambda: ready(dock), timeout=WAIT)
    images.step(-1)
    qtbot.wait(50)
    assert ready(dock)  # it was accepted


def test_image_without_corrections_takes_one_key(make_napari_viewer, drive: Path, qtbot: QtBot):
    viewer = make_napari_viewer()
    images, dock = open_docks(viewer, drive)
    remove_masks(viewer)
    qtbot.waitUntil(lambda: dock.session.image is not None, timeout=WAIT)
    dock.opening_controls.switch.click()
    qtbot.waitUntil(lambda: ready(dock, "vessel", "disc", "cup"), timeout=WAIT)
    following = str(images.images.images[1].path)
    kept = dock.session.results.has_kept
    # The next image has a mask of vessel, which is left alone.
    qtbot.waitUntil(lambda: kept((following, "disc")) and kept((following, "cup")), timeout=WAIT)
    assert not kept((following, "vessel"))
    dock.session.set_target("disc")
    dock.finish()
    assert images.images.current == 1
    assert images.images.corrections.done() == {"01_test"}
    assert all(images.images.corrections.has("01_test", name) for name in TARGETS)
    qtbot.waitUntil(lambda: ready(dock, "disc", "cup"), timeout=WAIT)
    assert dock.session.target.name == "disc"
    dock.finish()
    assert images.images.corrections.done() == {"01_test", "21_training"}
    assert images.images.current == 1


def test_image_stays_while_a_result_is_missing(make_napari_viewer, drive: Path, qtbot: QtBot):
    viewer = make_napari_viewer()
    images, dock = open_docks(viewer, drive)
    qtbot.waitUntil(lambda: dock.session.image is not None, timeout=WAIT)
    release = threading.Event()

    def wait(request: SegmentationRequest, report: ReportProgress) -> SegmentationResult:
        release.wait(20)
        return segment(request, report)

    dock.session.queue.engine.segment = wait
    dock.segment_all()
    dock.finish()
    assert images.images.current == 0
    assert "still being computed" in dock.progress.message.text()
    release.set()
    qtbot.waitUntil(lambda: ready(dock, "vessel", "disc", "cup"), timeout=WAIT)
    assert dock.accept_all()


def test_accept_all_leaves_the_brush_in_the_target_that_is_shown(
    make_napari_viewer, drive: Path, qtbot: QtBot
):
    viewer = make_napari_viewer()
    _images, dock = open_docks(viewer, drive)
    for name in ("disc", "cup"):
        dock.session.set_target(name)
        dock.segment()
        qtbot.waitUntil(lambda: len(dock.session.results.unaccepted()) == 1, timeout=WAIT)
        dock.session.set_target("disc")
        assert dock.accept_all()
        assert viewer.layers.selection.active.name == "01_test disc"
        assert dock.session.target.name == "disc"
    viewer.layers.remove("01_test vessel")
    dock.session.set_target("disc")
    dock.segment()
    qtbot.waitUntil(lambda: len(dock.session.results.unaccepted()) == 1, timeout=WAIT)
    dock.session.set_target("vessel")
    assert dock.accept_all()
    assert viewer.layers.selection.active.name == "01_test disc"
    assert dock.session.target.name == "disc"


def test_message_about_a_mask_vanishes_when_it_is_undone(
    make_napari_viewer, drive: Path, qtbot: QtBot
):
    viewer = make_napari_viewer()
    _images, dock = open_docks(viewer, drive)
    dock.session.set_target("disc")
    dock.segment()
    qtbot.waitUntil(lambda: ready(dock, "disc"), timeout=WAIT)
    dock.accept()
    qtbot.wait(300)
    assert "Accepted into 01_test disc" in dock.progress.message.text()
    viewer.layers["01_test disc"].undo()
    qtbot.waitUntil(lambda: not dock.progress.message.text(), timeout=WAIT)


def test_keys_select_the_next_and_the_previous_target(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    _images, dock = open_docks(viewer, drive)
    dock.sync.refresh()
    names = list(selectable_targets())
    dock.session.set_target(names[0])
    dock.previous_target()
    assert dock.session.target.name == names[-1]
    dock.next_target()
    assert dock.session.target.name == names[0]


def test_window_asks_once_before_predictions_are_lost(
    make_napari_viewer, drive: Path, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
):
    asked: list[str] = []

    def decline(parent: object, title: str, text: str, *, action: str) -> bool:
        asked.append(text)
        return False

    viewer = make_napari_viewer()
    images, dock = open_docks(viewer, drive)
    dock._close_guard.refresh()  # as when it is shown
    dock.session.set_target("disc")
    dock.segment()
    qtbot.waitUntil(lambda: len(dock.session.results.latest) == 1, timeout=WAIT)
    images.step(1)
    qtbot.waitUntil(lambda: not dock.session.results.latest, timeout=WAIT)
    with monkeypatch.context() as patch:
        patch.setattr("napari_sam2lora.segmentation.dock.confirm", decline)
        assert not main_window(dock).close()
    assert asked == ["Predictions that were not accepted are lost:\n\n01_test.tif: disc"]
    images.step(-1)
    qtbot.waitUntil(lambda: len(dock.session.results.latest) == 1, timeout=WAIT)
    dock.accept()
    assert dock.session.results.lost_on_closing() == {}
