"""What is in view of a canvas."""

import numpy as np
import pytest
from napari import Viewer
from napari.components import ViewerModel
from pytestqt.qtbot import QtBot
from qtpy.QtWidgets import QWidget

from napari_sam2lora.qt.canvas import look_at, shows_everything
from napari_sam2lora.qt.dock import Dock, main_window


def test_layers_within_the_canvas_are_recognized(qtbot: QtBot):
    canvas, viewer = QWidget(), ViewerModel()
    qtbot.addWidget(canvas)
    canvas.resize(200, 100)
    assert not shows_everything(viewer, canvas)
    viewer.add_image(np.zeros((50, 100)))
    viewer.scene.camera.center, viewer.scene.camera.zoom = (0, 24.5, 49.5), 2
    assert shows_everything(viewer, canvas)
    canvas.resize(150, 100)
    assert not shows_everything(viewer, canvas)


def test_what_is_looked_at_is_in_the_middle_and_large():
    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((400, 600)), scale=(2, 2))
    viewer.fit_to_view()
    whole = viewer.scene.camera.zoom
    mask = np.zeros((400, 600), bool)
    look_at(viewer, image, mask)
    assert viewer.scene.camera.zoom == whole
    mask[100:120, 500:520] = True
    look_at(viewer, image, mask)
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (219, 1019))
    assert viewer.scene.camera.zoom == pytest.approx(0.4 * 400 / 20 * whole)
    look_at(viewer, image, np.ones((400, 600), bool))
    assert viewer.scene.camera.zoom == pytest.approx(whole)
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], (399, 599))


@pytest.mark.viewer
def test_dock_that_narrows_the_canvas_leaves_the_image_in_view(make_napari_viewer, qtbot: QtBot):
    viewer: Viewer = make_napari_viewer(show=True)
    viewer.add_image(np.zeros((100, 300)))
    viewer.fit_to_view()
    dock = Dock(viewer, width=600)
    viewer.window.add_dock_widget(dock, name="wide")
    window = main_window(dock)
    window.setFixedWidth(window.width())  # so that it is not widened instead
    canvas = window.centralWidget()
    qtbot.waitUntil(lambda: shows_everything(viewer, canvas), timeout=5000)
    zoom = viewer.scene.camera.zoom = 3 * viewer.scene.camera.zoom
    viewer.window.add_dock_widget(Dock(viewer, width=650), name="wider")
    qtbot.wait(1000)
    assert viewer.scene.camera.zoom == zoom  # what the user zoomed into stays
