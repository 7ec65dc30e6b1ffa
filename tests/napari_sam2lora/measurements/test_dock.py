"""Measurements of the masks in a viewer."""

import json
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton, QTableWidget

from napari_sam2lora.measurements.dock import MeasurementsDock, measure_selected, rows_of

from ..conftest import bar, disk, eye, viewer_with


def viewer_of(*targets: str, spacing: tuple | None = None) -> ViewerModel:
    viewer = viewer_with(*eye(*targets, spacing=spacing))
    viewer.layers.selection.active = viewer.layers[0]
    return viewer


def test_current_layers_are_measured():
    viewer = viewer_of("vessel", "disc", "cup")
    name, measured = measure_selected(viewer)
    assert name == "eye"
    assert measured.structures["vessel"].area_px == bar().sum()
    assert measured.vertical_cup_disc_ratio == pytest.approx(0.52, abs=0.05)
    viewer.layers["eye cup"].data = np.zeros_like(viewer.layers["eye cup"].data)
    assert measure_selected(viewer)[1].vertical_cup_disc_ratio == 0


def test_millimetres_follow_the_layer_scale():
    measured = measure_selected(viewer_of("disc", spacing=(0.01, 0.02)))[1]
    assert measured.spacing_mm == pytest.approx((0.01, 0.02))
    assert measured.structures["disc"].area_mm2 == pytest.approx(disk(12).sum() * 0.0002)
    assert measure_selected(viewer_of("disc"))[1].spacing_mm is None


def test_rows_show_undefined_values_and_known_millimetres():
    rows = dict(rows_of(measure_selected(viewer_of("vessel"))[1]))
    assert rows["Vertical cup/disc ratio"] == "—"
    assert rows["Vessel, area (px)"] == str(bar().sum())
    assert not any("mm" in name for name in rows)
    assert "Vessel, height × width (px)" not in rows
    scaled = dict(rows_of(measure_selected(viewer_of("disc", spacing=(0.01, 0.01)))[1]))
    assert scaled["Disc, area (mm²)"] == f"{disk(12).sum() * 0.0001:.3f}"


@pytest.mark.viewer
def test_dock_measures_copies_and_saves(make_napari_viewer, tmp_path: Path, notices: list[str]):
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Measurements")
    assert isinstance(dock, MeasurementsDock)
    assert notices == []
    for layer in eye("disc", "cup"):
        viewer.add_layer(layer)
    buttons = {button.text(): button for button in dock.findChildren(QPushButton)}
    buttons["Measure"].click()
    table = dock.findChild(QTableWidget)
    shown = {
        table.item(row, 0).text(): table.item(row, 1).text() for row in range(table.rowCount())
    }
    assert shown["Disc, area (px)"] == str(disk(12).sum())
    buttons["Copy"].click()
    copied = QGuiApplication.clipboard().text()
    assert f"Disc, area (px)\t{disk(12).sum()}" in copied
    assert copied.startswith("Image\teye\n")
    dock.save(tmp_path / "eye.json")
    saved = json.loads((tmp_path / "eye.json").read_text())
    assert saved["structures"]["disc"]["area_px"] == disk(12).sum()


@pytest.mark.viewer
def test_image_without_masks_is_notified_and_not_measured(make_napari_viewer, notices: list[str]):
    viewer = make_napari_viewer()
    viewer.add_layer(eye()[0])
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Measurements")
    assert "eye has no masks" in notices[0]
    assert dock.findChild(QTableWidget).rowCount() == 0


@pytest.mark.viewer
def test_real_image_is_measured(make_napari_viewer, real_data: Path):
    viewer = make_napari_viewer()
    path = real_data / "Drishti-GS1_files" / "Training" / "Images" / "drishtiGS_002.png"
    viewer.open(path, plugin="napari-sam2lora")
    measured = measure_selected(viewer)[1]
    assert 0.2 < measured.vertical_cup_disc_ratio < 0.95
