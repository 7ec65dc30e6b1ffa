"""The fovea in the Segment dock: located, set by hand, accepted, and kept by the image list."""

from pathlib import Path
from threading import Event

import pytest
from napari import Viewer
from pytestqt.qtbot import QtBot

from napari_sam2lora.image_list.dock import ImageListDock
from napari_sam2lora.layers.points import is_point
from napari_sam2lora.qt.worker import ReportProgress
from napari_sam2lora.segmentation.dock import SegmentDock
from napari_sam2lora.segmentation.requests import LocatedResult, SegmentationRequest
from sam2lora.annotations.points import PointAnnotation
from sam2lora.inference.points import PointPrediction
from sam2lora.targets import TARGETS

from ..helpers import label_text, press
from ..segmentation_window import WAIT
from .conftest import make_result

PLUGIN = "napari-sam2lora"

pytestmark = pytest.mark.viewer


def locate(request: SegmentationRequest, report: ReportProgress) -> LocatedResult:
    return LocatedResult(request, PointPrediction(12.0, 9.0, 0.5))


@pytest.fixture
def docks(make_napari_viewer, drive: Path, qtbot: QtBot) -> tuple[ImageListDock, SegmentDock]:
    """Open a folder of two images with both docks; stand-ins segment and locate."""
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    (images,) = (
        one for one in viewer.window.dock_widgets.values() if isinstance(one, ImageListDock)
    )
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")
    engine = dock.session.queue.engine
    engine.segment, engine.locate = (lambda request, report: make_result(request)), locate
    return images, dock


@pytest.fixture
def located(docks, qtbot: QtBot) -> tuple[ImageListDock, SegmentDock]:
    """Press Segment for the fovea of the first image."""
    images, dock = docks
    dock.session.set_target("fovea")
    with qtbot.waitSignal(dock.session.result_ready, timeout=WAIT):
        press(dock, "Segment")
    return images, dock


def place(viewer: Viewer) -> list[list[float]]:
    (layer,) = (one for one in viewer.layers if is_point(one))
    return layer.data.tolist()


def test_segment_locates_the_fovea_with_its_confidence(located):
    _, dock = located
    layer = dock.session.viewer.layers["01_test fovea"]
    assert layer.data.tolist() == [[9.0, 12.0]]
    assert dock.session.viewer.layers.selection.active == layer
    assert layer.mode == "select"  # it can be dragged
    text = label_text(dock)
    assert "Confidence in the fovea" in text
    assert "0.50" in text
    assert "Predicted IoU" not in text


def test_controls_of_masks_are_off_for_a_point(located):
    _, dock = located
    assert not dock.threshold.isEnabled()
    assert dock.threshold.mode.toolTip().startswith("The target is a point")
    dock.session.set_target("disc")
    assert dock.threshold.isEnabled()
    assert "point" not in dock.threshold.mode.toolTip()


def test_accepted_fovea_comes_back_with_its_image(located, qtbot: QtBot):
    images, dock = located
    press(dock, "Accept")
    images.step(1)
    qtbot.wait(50)
    assert place(dock.session.viewer) == []
    stored = images.images.corrections.points("01_test")
    assert stored == {"fovea": PointAnnotation(target="fovea", x=12, y=9, confidence=0.5)}
    images.step(-1)
    qtbot.wait(50)
    assert place(dock.session.viewer) == [[9.0, 12.0]]
    assert dock.session.points.at(dock.session.target_key).accepted


def test_fovea_that_was_not_accepted_is_kept_and_not_saved(located, qtbot: QtBot):
    images, dock = located
    assert list(dock.session.results.lost_on_closing().values()) == [["fovea"]]
    images.step(1)
    qtbot.wait(50)
    assert not images.images.corrections.points("01_test")
    images.step(-1)
    qtbot.wait(50)
    assert place(dock.session.viewer) == [[9.0, 12.0]]
    assert dock.session.points.unaccepted() == [dock.session.target_key]


def test_click_and_its_undo_in_the_dock(located, qtbot: QtBot):
    _, dock = located
    press(dock, "+ Point")
    layer = dock.session.viewer.layers["01_test fovea"]
    assert layer.mode == "add"
    layer.add([4.0, 5.0])
    qtbot.waitUntil(lambda: layer.data.tolist() == [[4.0, 5.0]], timeout=1000)
    assert "set by hand" in label_text(dock)
    dock.undo()
    assert layer.data.tolist() == [[9.0, 12.0]]


def test_saved_fovea_is_there_when_the_folder_is_opened_again(
    located, drive: Path, make_napari_viewer
):
    images, dock = located
    press(dock, "Accept all")
    assert images.save()
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    assert place(viewer) == [[9.0, 12.0]]


def test_discarded_fovea_is_gone(located, qtbot: QtBot):
    images, dock = located
    press(dock, "Accept")
    images.save()
    images.discard()
    qtbot.wait(50)
    assert place(dock.session.viewer) == []
    assert dock.session.points.at(dock.session.target_key) is None
    assert not images.images.corrections.corrected("01_test")


def test_fovea_is_located_on_opening_if_it_is_ticked(docks, qtbot: QtBot):
    _, dock = docks
    press(dock.opening_controls, "fovea")
    press(dock, "Segment on opening")
    key = (dock.session.target_key[0], "fovea")
    qtbot.waitUntil(lambda: dock.session.points.at(key) is not None, timeout=WAIT)
    assert dock.accept_all()
    assert dock.session.points.at(key).accepted


@pytest.mark.shipped
def test_segment_all_locates_the_fovea_and_leaves_an_accepted_one_alone(docks, qtbot: QtBot):
    _, dock = docks
    key = (dock.session.target_key[0], "fovea")
    press(dock, "Segment all")
    qtbot.waitUntil(lambda: dock.session.points.at(key) is not None, timeout=WAIT)
    assert {target for _, target in dock.session.results.latest} == set(TARGETS)
    assert dock.accept_all()
    (layer,) = (one for one in dock.session.viewer.layers if is_point(one))
    layer.data = [[4.0, 5.0]]
    press(dock, "Segment all")
    qtbot.waitUntil(lambda: not dock.session.queue.worker.busy, timeout=WAIT)
    assert place(dock.session.viewer) == [[4.0, 5.0]]
    assert dock.session.points.at(key).set_by_hand


def answer(dock: SegmentDock, x: float, y: float, confidence: float) -> None:
    """Answer the next request with this point."""
    dock.session.queue.engine.locate = lambda request, report: LocatedResult(
        request, PointPrediction(x, y, confidence)
    )


def test_fovea_that_is_located_again_replaces_the_one_shown(located, qtbot: QtBot):
    _, dock = located
    answer(dock, 20.0, 15.0, 0.7)
    with qtbot.waitSignal(dock.session.result_ready, timeout=WAIT):
        press(dock, "Segment")
    assert place(dock.session.viewer) == [[15.0, 20.0]]
    assert dock.session.points.at(dock.session.target_key).confidence == 0.7
    dock.undo()
    assert place(dock.session.viewer) == [[9.0, 12.0]]


def test_fovea_that_was_accepted_is_replaced_if_segment_is_pressed(located, qtbot: QtBot):
    _, dock = located
    press(dock, "Accept")
    answer(dock, 20.0, 15.0, 0.7)
    with qtbot.waitSignal(dock.session.result_ready, timeout=WAIT):
        press(dock, "Segment")
    assert place(dock.session.viewer) == [[15.0, 20.0]]


def test_fovea_that_is_set_while_it_is_located_stays(located, qtbot: QtBot):
    _, dock = located
    released = Event()

    def locate_late(request: SegmentationRequest, report: ReportProgress) -> LocatedResult:
        assert released.wait(WAIT / 1000)
        return LocatedResult(request, PointPrediction(20.0, 15.0, 0.7))

    dock.session.queue.engine.locate = locate_late
    press(dock, "Segment")
    dock.session.viewer.layers["01_test fovea"].data = [[4.0, 5.0]]
    with qtbot.waitSignal(dock.session.message, timeout=WAIT) as shown:
        released.set()
    assert shown.args == ["fovea: the point was set meanwhile, and stays."]
    assert place(dock.session.viewer) == [[4.0, 5.0]]
