"""The selected image is measured whenever what is measured has changed."""

from collections.abc import Iterator

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.metadata import with_plugin_metadata
from napari_sam2lora.layers.points import LocatedPoint, PointLayers
from napari_sam2lora.layers.regions import RegionLayers
from napari_sam2lora.measurements.live import LiveEye
from napari_sam2lora.measurements.snapshot import MeasuredEye
from sam2lora.targets import FOVEA

from ..conftest import disk, eye, viewer_with

WAIT = 20_000


@pytest.fixture
def viewer() -> ViewerModel:
    viewer = viewer_with(*eye("disc", "cup"))
    viewer.layers.selection.active = viewer.layers[0]
    return viewer


@pytest.fixture
def live(viewer: ViewerModel, qtbot: QtBot) -> Iterator[LiveEye]:
    live = LiveEye(viewer)
    yield live
    live.close()


def first(live: LiveEye, qtbot: QtBot) -> MeasuredEye:
    with qtbot.waitSignal(live.measured, timeout=WAIT) as found:
        live.set_active(True)
    return found.args[0]


def test_image_is_measured_once_it_is_active_and_after_each_change(
    viewer: ViewerModel, live: LiveEye, qtbot: QtBot
):
    with qtbot.assertNotEmitted(live.measured, wait=400):
        viewer.layers["eye cup"].visible = False
    viewer.layers["eye cup"].visible = True
    assert first(live, qtbot).found.values["disc_area_px"] == disk(12).sum()
    image, labels = viewer.layers["eye"], viewer.layers["eye disc"]
    with qtbot.waitSignal(live.measured, timeout=WAIT) as found:
        labels.data_setitem((np.array([0]), np.array([0])), 2)
    assert found.args[0].snapshot.masks["disc"][0, 0]
    with qtbot.waitSignal(live.measured, timeout=WAIT) as found:
        image.metadata = with_plugin_metadata(image.metadata, eye="left")
    assert found.args[0].found.eye == "left"
    with qtbot.waitSignal(live.measured, timeout=WAIT) as found:
        image.scale, image.units = (0.01, 0.01), ("mm", "mm")
    assert found.args[0].found.scale is not None
    points = PointLayers(viewer)
    with qtbot.waitSignal(live.measured, timeout=WAIT):
        layer = points.show(image, FOVEA, LocatedPoint(15, 50))
    with qtbot.waitSignal(live.measured, timeout=WAIT) as found:
        layer.data = np.array([[50.0, 20.0]])
    assert found.args[0].snapshot.fovea.place == (20, 50)


def test_drawing_does_not_cause_measuring(viewer: ViewerModel, live: LiveEye, qtbot: QtBot):
    measured = first(live, qtbot)
    regions = RegionLayers(viewer)
    with qtbot.assertNotEmitted(live.measured, wait=500):
        regions.show(viewer.layers["eye"], measured.drawings, {})
        regions.remove()


def test_reason_is_said_where_nothing_can_be_measured(
    viewer: ViewerModel, live: LiveEye, qtbot: QtBot
):
    first(live, qtbot)
    assert live.image == viewer.layers["eye"]
    with qtbot.waitSignal(live.unavailable, timeout=WAIT) as said:
        viewer.layers.clear()
    assert said.args[0].startswith("There is no image")
    assert live.image is None


def test_nothing_is_measured_after_closing(viewer: ViewerModel, live: LiveEye, qtbot: QtBot):
    first(live, qtbot)
    other = LiveEye(viewer)
    other.set_active(True)
    other.close()
    with qtbot.assertNotEmitted(other.measured, wait=400):
        viewer.layers["eye disc"].data = viewer.layers["eye disc"].data * 0
