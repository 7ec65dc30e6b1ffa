"""The Measurements dock in a window."""

from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Shapes
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox, QComboBox, QPushButton

from napari_sam2lora.layers.regions import is_drawing
from napari_sam2lora.measurements.dock import MeasurementsDock
from napari_sam2lora.measurements.tree import MeasurementTree
from sam2lora.cohort import COLUMNS, read_table

from ..conftest import disk, eye
from ..helpers import label_text, pick

pytestmark = pytest.mark.viewer

WAIT = 20_000
RECURSIVE = Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchRecursive


@pytest.fixture
def viewer(make_napari_viewer) -> Viewer:
    viewer = make_napari_viewer(show=True)
    for layer in eye("disc", "cup", "vessel"):
        viewer.add_layer(layer)
    return viewer


def open_dock(viewer: Viewer) -> MeasurementsDock:
    _, dock = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Measurements")
    assert isinstance(dock, MeasurementsDock)
    return dock


@pytest.fixture
def dock(viewer: Viewer, qtbot: QtBot) -> MeasurementsDock:
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: dock.measured is not None, timeout=WAIT)
    return dock


def drawn(viewer: Viewer) -> dict[str, Shapes]:
    return {layer.name: layer for layer in viewer.layers if is_drawing(layer)}


def click(box: QCheckBox) -> None:
    """Click a box with the mouse."""
    place = QPoint(8, box.height() // 2)
    QTest.mouseClick(box, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)


def test_masks_are_measured_and_copied(viewer: Viewer, dock: MeasurementsDock):
    assert dock.measured.found.values["disc_area_px"] == disk(12).sum()
    assert "eye: field of view" in label_text(dock)
    buttons = {one.text(): one for one in dock.findChildren(QPushButton)}
    buttons["Copy"].click()
    lines = QGuiApplication.clipboard().text().split("\n")
    assert lines[0].startswith("Image\teye")
    assert any(line.startswith(f"Disc area\t{disk(12).sum()} px²") for line in lines)


def test_row_is_added_to_the_table_of_measure(
    viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot, tmp_path: Path
):
    path = tmp_path / "table.csv"
    dock.save(path)
    dock.save(path)
    (row,) = read_table(path)
    assert tuple(row) == COLUMNS
    assert row["disc_area_px"] == str(disk(12).sum())
    viewer.layers["eye"].name = "second"
    viewer.layers["second"].metadata = {}
    for name in ("disc", "cup", "vessel"):
        layer = viewer.layers[f"eye {name}"]
        layer.metadata, layer.name = {}, f"second {name}"
    qtbot.waitUntil(lambda: dock.measured.snapshot.identity["file"] == "second", timeout=WAIT)
    dock.save(path)
    assert [one["file"] for one in read_table(path)] == ["eye", "second"]


def test_other_file_is_refused_and_stays(dock: MeasurementsDock, tmp_path: Path, notices):
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    dock.save(path)
    assert path.read_text() == "a,b\n1,2\n"
    assert "is no table of measurements" in notices[-1]


def test_draw_switch_shows_what_is_measured_and_follows_the_mask(
    viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot
):
    active = viewer.layers["eye disc"]
    viewer.layers.selection.active = active
    active.mode = "paint"
    (switch,) = [box for box in dock.findChildren(QCheckBox) if box.text() == "Draw"]
    assert drawn(viewer) == {}
    click(switch)
    both = {"eye rim sectors", "eye zones B and C"}
    qtbot.waitUntil(lambda: set(drawn(viewer)) == both, timeout=WAIT)
    assert viewer.layers.selection.active == active
    assert active.mode == "paint"
    before = [shape.copy() for shape in drawn(viewer)["eye rim sectors"].data]
    labels = viewer.layers["eye cup"]
    labels.data = np.where(disk(9), 3, 0).astype(labels.data.dtype)
    qtbot.waitUntil(
        lambda: dock.measured.snapshot.masks["cup"].sum() == disk(9).sum(), timeout=WAIT
    )
    after = drawn(viewer)["eye rim sectors"]
    assert not np.allclose(before[0], after.data[0])
    assert any("px" in label for label in after.features["label"])
    click(switch)
    assert drawn(viewer) == {}


def test_side_is_set_by_the_user(viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot):
    (box,) = [one for one in dock.findChildren(QComboBox) if one.findText("left") >= 0]
    assert box.currentText() == "not stated"
    assert "not known" in label_text(dock)
    pick(box, "left")
    qtbot.waitUntil(lambda: dock.measured.found.eye == "left", timeout=WAIT)
    assert dock.measured.found.values["rim_width_nasal_px"] is not None
    assert box.currentText() == "left"
    assert viewer.layers["eye"].metadata["sam2lora"]["eye"] == "left"


def test_side_and_row_are_for_what_is_shown_and_current(
    viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot
):
    (box,) = [one for one in dock.findChildren(QComboBox) if one.findText("left") >= 0]
    (add,) = [one for one in dock.findChildren(QPushButton) if one.text().startswith("Add to")]
    pick(box, "left")
    qtbot.waitUntil(lambda: dock.measured.found.eye == "left", timeout=WAIT)
    qtbot.waitUntil(add.isEnabled, timeout=WAIT)
    viewer.layers["eye cup"].data = viewer.layers["eye cup"].data * 0
    assert not add.isEnabled()
    assert box.isEnabled()
    qtbot.waitUntil(add.isEnabled, timeout=WAIT)
    viewer.add_layer(eye(name="other")[0])
    viewer.layers.selection.active = viewer.layers["other"]
    assert not box.isEnabled()
    qtbot.waitUntil(lambda: dock.measured is None, timeout=WAIT)
    assert box.currentText() == "not stated"
    assert not box.isEnabled()
    assert not add.isEnabled()
    viewer.layers.selection.active = viewer.layers["eye"]
    qtbot.waitUntil(lambda: box.isEnabled() and box.currentText() == "left", timeout=WAIT)
    assert viewer.layers["other"].metadata["sam2lora"]["eye"] is None


def test_drawing_vanishes_with_the_image(viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot):
    dock._draw.setChecked(True)
    assert drawn(viewer)
    viewer.layers.remove("eye")
    qtbot.waitUntil(lambda: not drawn(viewer), timeout=WAIT)
    qtbot.waitUntil(lambda: dock.measured is None, timeout=WAIT)
    assert "There is no image" in label_text(dock)


def test_drawing_is_kept_up_behind_another_tab(
    viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot
):
    dock._draw.setChecked(True)
    _, other = viewer.window.add_plugin_dock_widget("napari-sam2lora", "Evaluate")
    qtbot.waitUntil(lambda: dock.visibleRegion().isEmpty(), timeout=WAIT)
    labels = viewer.layers["eye cup"]
    labels.data = np.where(disk(9), 3, 0).astype(labels.data.dtype)
    qtbot.waitUntil(
        lambda: dock.measured.snapshot.masks["cup"].sum() == disk(9).sum(), timeout=WAIT
    )
    del other


def test_removed_dock_leaves_no_drawing(viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot):
    dock._draw.setChecked(True)
    viewer.window.remove_dock_widget(dock.parent())
    assert drawn(viewer) == {}
    viewer.layers["eye disc"].visible = False


def test_image_without_masks_is_said_to_have_none(make_napari_viewer, qtbot: QtBot, notices):
    viewer = make_napari_viewer(show=True)
    viewer.add_layer(eye()[0])
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: "eye has no masks" in label_text(dock), timeout=WAIT)
    assert notices == []


def test_real_image_is_measured(make_napari_viewer, qtbot: QtBot, real_data: Path):
    viewer = make_napari_viewer(show=True)
    path = real_data / "Drishti-GS1_files" / "Training" / "Images" / "drishtiGS_002.png"
    viewer.open(path, plugin="napari-sam2lora")
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: dock.measured is not None, timeout=WAIT)
    assert 0.2 < dock.measured.found.values["vertical_cup_disc_ratio"] < 0.95


def test_old_measurements_are_pale_while_new_ones_are_computed(
    viewer: Viewer, dock: MeasurementsDock, qtbot: QtBot
):
    (copy,) = [one for one in dock.findChildren(QPushButton) if one.text() == "Copy"]
    tree = dock.findChild(MeasurementTree)
    (value,) = tree.findItems("Disc area", RECURSIVE, 0)
    dock._draw.setChecked(True)
    qtbot.waitUntil(lambda: len(drawn(viewer)) == 2 and copy.isEnabled(), timeout=WAIT)
    before = value.text(1)
    for radius in (10, 9):
        labels = viewer.layers["eye disc"]
        labels.data = np.where(disk(radius), 2, 0).astype(labels.data.dtype)
        assert value.text(1) == before
        assert value.font(1).italic()
        assert {round(layer.opacity, 2) for layer in drawn(viewer).values()} == {0.35}
        assert not copy.isEnabled()
        qtbot.waitUntil(copy.isEnabled, timeout=WAIT)
        assert value.text(1) != before
        assert not value.font(1).italic()
        assert {layer.opacity for layer in drawn(viewer).values()} == {1}
        before = value.text(1)
