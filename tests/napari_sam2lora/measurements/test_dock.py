"""Measuring what the layers show."""

import json
from pathlib import Path

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QPushButton, QTableWidget

from napari_sam2lora.measurements.dock import MeasurementsDock, measure_chosen, rows_of

from ..conftest import bar, disk, eye


def viewer_with(*targets: str, spacing: tuple | None = None) -> ViewerModel:
    viewer = ViewerModel()
    for layer in eye(*targets, spacing=spacing):
        viewer.add_layer(layer)
    viewer.layers.selection.active = viewer.layers[0]
    return viewer


def test_what_is_measured_is_what_the_layers_show_now():
    viewer = viewer_with("vessel", "disc", "cup")
    name, measured = measure_chosen(viewer)
    assert name == "eye"
    assert measured.structures["vessel"].area_px == bar().sum()
    assert measured.vertical_cup_disc_ratio == pytest.approx(0.52, abs=0.05)
    viewer.layers["eye cup"].data = np.zeros_like(viewer.layers["eye cup"].data)
    assert measure_chosen(viewer)[1].vertical_cup_disc_ratio == 0


def test_millimetres_are_those_of_the_layers_scale():
    measured = measure_chosen(viewer_with("disc", spacing=(0.01, 0.02)))[1]
    assert measured.spacing_mm == pytest.approx((0.01, 0.02))
    assert measured.structures["disc"].area_mm2 == pytest.approx(disk(12).sum() * 0.0002)
    assert measure_chosen(viewer_with("disc"))[1].spacing_mm is None


def test_rows_say_what_is_not_defined_and_give_millimetres_where_known():
    rows = dict(rows_of(measure_chosen(viewer_with("vessel"))[1]))
    assert rows["vertical cup/disc ratio"] == "—"
    assert rows["vessel, area (px)"] == str(bar().sum())
    assert not any("mm" in name for name in rows)
    assert "vessel, height × width (px)" not in rows
    scaled = dict(rows_of(measure_chosen(viewer_with("disc", spacing=(0.01, 0.01)))[1]))
    assert scaled["disc, area (mm²)"] == f"{disk(12).sum() * 0.0001:.3f}"


@pytest.mark.viewer
def test_the_dock_measures_copies_and_saves(make_napari_viewer, tmp_path: Path, notices: list[str]):
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
    assert shown["disc, area (px)"] == str(disk(12).sum())
    buttons["Copy"].click()
    copied = QGuiApplication.clipboard().text()
    assert f"disc, area (px)\t{disk(12).sum()}" in copied
    assert copied.startswith("image\teye\n")
    dock.save(tmp_path / "eye.json")
    saved = json.loads((tmp_path / "eye.json").read_text())
    assert saved["structures"]["disc"]["area_px"] == disk(12).sum()


@pytest.mark.viewer
def test_without_masks_it_says_so_and_shows_no_numbers(make_napari_viewer, notices: list[str]):
    viewer = make_napari_viewer()
    viewer.add_layer(eye()[0])
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Measurements")
    assert "eye has no masks" in notices[0]
    assert dock.findChild(QTableWidget).rowCount() == 0


@pytest.mark.viewer
def test_a_real_image_is_measured(make_napari_viewer, real_data: Path):
    viewer = make_napari_viewer()
    path = real_data / "Drishti-GS1_files" / "Training" / "Images" / "drishtiGS_002.png"
    viewer.open(path, plugin="napari-sam2lora")
    measured = measure_chosen(viewer)[1]
    assert 0.2 < measured.vertical_cup_disc_ratio < 0.95
