"""The selected image is measured whenever what is measured has changed."""

from collections.abc import Iterator
from threading import Event

import numpy as np
import pytest
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.metadata import with_plugin_metadata
from napari_sam2lora.layers.points import LocatedPoint, PointLayers
from napari_sam2lora.layers.regions import RegionLayers
from napari_sam2lora.measurements import live as live_module
from napari_sam2lora.measurements.live import LiveEye
from napari_sam2lora.measurements.snapshot import MeasuredEye, Snapshot, measure_snapshot
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


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """Hold measuring back until this is set."""
    gate = Event()

    def wait_and_measure(snapshot: Snapshot) -> MeasuredEye:
        assert gate.wait(WAIT / 1000)
        return measure_snapshot(snapshot)

    monkeypatch.setattr(live_module, "measure_snapshot", wait_and_measure)
    yield gate
    gate.set()


def test_masks_that_left_while_they_were_measured_are_not_shown(
    viewer: ViewerModel, live: LiveEye, qtbot: QtBot, gate: Event
):
    live.set_active(True)
    qtbot.waitUntil(lambda: live._worker.busy, timeout=WAIT)
    with qtbot.waitSignal(live.unavailable, timeout=WAIT) as said:
        for name in ("eye disc", "eye cup"):
            viewer.layers.remove(name)
    assert "has no masks" in said.args[0]
    with qtbot.assertNotEmitted(live.measured, wait=300):
        gate.set()
        qtbot.waitUntil(lambda: not live._worker.busy, timeout=WAIT)
    assert live.image is None
    assert not live.current


def test_result_is_current_until_something_changes(
    viewer: ViewerModel, live: LiveEye, qtbot: QtBot, gate: Event
):
    assert not live.current
    gate.set()
    first(live, qtbot)
    qtbot.waitUntil(lambda: live.current, timeout=WAIT)
    gate.clear()
    with qtbot.waitSignal(live.outdated, timeout=WAIT):
        viewer.layers["eye cup"].data = viewer.layers["eye cup"].data * 0
    assert not live.current
    qtbot.waitUntil(lambda: live._worker.busy, timeout=WAIT)
    assert not live.current
    gate.set()
    qtbot.waitUntil(lambda: live.current, timeout=WAIT)
    viewer.layers["eye disc"].data_setitem((np.array([0]), np.array([0])), 2)
    assert not live.current  # from the first touch of the brush
    qtbot.waitUntil(lambda: live.current, timeout=WAIT)


def test_image_that_is_not_selected_is_not_the_one_to_change(
    viewer: ViewerModel, live: LiveEye, qtbot: QtBot
):
    first(live, qtbot)
    (other,) = eye(name="other")
    viewer.add_layer(other)
    viewer.layers.selection.active = viewer.layers["eye disc"]
    assert live.image == viewer.layers["eye"]
    viewer.layers.selection.active = viewer.layers["other"]
    assert live.image is None


def test_nothing_is_measured_after_closing(viewer: ViewerModel, live: LiveEye, qtbot: QtBot):
    first(live, qtbot)
    other = LiveEye(viewer)
    other.set_active(True)
    other.close()
    with qtbot.assertNotEmitted(other.measured, wait=400):
        viewer.layers["eye disc"].data = viewer.layers["eye disc"].data * 0
