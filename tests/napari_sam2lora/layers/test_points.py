"""Targets that are points are Points layers, set by hand and undone."""

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image
from pytestqt.qtbot import QtBot

from napari_sam2lora.layers.metadata import ensure_image_id
from napari_sam2lora.layers.points import LocatedPoint, PointLayers, is_point, read_point
from sam2lora.targets import FOVEA

from ..segmentation_window import fundus

FOUND = LocatedPoint(120.5, 80.0, 0.6, accepted=False)


@pytest.fixture
def image() -> Image:
    return fundus()


@pytest.fixture
def points(image: Image, qtbot: QtBot) -> PointLayers:
    viewer = ViewerModel()
    viewer.add_layer(image)
    layers = PointLayers(viewer)
    layers.show(image, FOVEA, FOUND)
    return layers


@pytest.fixture
def key(image: Image) -> tuple[str, str]:
    return ensure_image_id(image), "fovea"


def test_point_is_shown_hollow_until_it_is_accepted(points: PointLayers, key):
    layer = points.find(key)
    assert layer.name == "photo fovea"
    assert layer.data.tolist() == [[80.0, 120.5]]
    assert layer.face_color[0, 3] == 0
    assert points.unaccepted() == [key]
    points.accept(key)
    assert layer.face_color[0, 3] == 1
    assert read_point(layer) == LocatedPoint(120.5, 80.0, 0.6, accepted=True)
    assert not points.unaccepted()


def test_dragged_point_is_set_by_hand_and_undone_in_one_step(points: PointLayers, key):
    layer = points.find(key)
    layer.selected_data = {0}
    layer.data = np.array([[90.0, 100.0]])
    assert points.at(key) == LocatedPoint(100.0, 90.0)
    assert points.at(key).set_by_hand
    assert points.undo(key)
    assert points.at(key) == FOUND
    assert layer.data.tolist() == [[80.0, 120.5]]
    assert points.redo(key)
    assert points.at(key) == LocatedPoint(100.0, 90.0)


def test_click_replaces_the_point(points: PointLayers, key, qtbot: QtBot):
    layer = points.find(key)
    layer.add([30.0, 40.0])
    qtbot.waitUntil(lambda: len(layer.data) == 1, timeout=1000)
    assert points.at(key) == LocatedPoint(40.0, 30.0)
    points.remove(key)
    assert points.at(key) is None
    assert not len(layer.data)


def test_moved_layer_is_read_without_a_dock(points: PointLayers, key):
    points.close()
    layer = points.find(key) or next(one for one in points._viewer.layers if is_point(one))
    layer.data = np.array([[10.0, 20.0]])
    assert read_point(layer) == LocatedPoint(20.0, 10.0)


def test_point_of_an_image_that_left_comes_back_with_it(points: PointLayers, key, image: Image):
    viewer = points._viewer
    viewer.layers.clear()
    points.sync()
    assert points.at(key) == FOUND
    viewer.add_layer(image)
    points.sync()
    points.restore(image)
    assert points.find(key) in viewer.layers


def test_layer_deleted_by_hand_has_no_point(points: PointLayers, key):
    points._viewer.layers.remove(points.find(key))
    points.sync()
    assert points.at(key) is None
