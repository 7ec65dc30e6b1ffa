"""The Evaluate dock in a window."""

from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.layers import Labels
from qtpy.QtGui import QGuiApplication

from napari_sam2lora.evaluation.dock import EvaluateDock, about_targets, proposed_pair

from ..conftest import disk, eye
from ..helpers import press

PLUGIN = "napari-sam2lora"

pytestmark = pytest.mark.viewer


@pytest.fixture
def opened(make_napari_viewer) -> tuple[Viewer, EvaluateDock]:
    viewer = make_napari_viewer()
    for layer in eye("disc"):
        viewer.add_layer(layer)
    viewer.add_layer(Labels(disk(12, (49, 48)).astype(np.uint8), name="reference"))
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Evaluate")
    return viewer, dock


def wait_compared(qtbot, dock: EvaluateDock, count: int) -> None:
    qtbot.waitUntil(lambda: len(dock.comparisons) == count, timeout=60_000)


def test_scores_and_an_error_map_are_shown(qtbot, opened, tmp_path: Path) -> None:
    viewer, dock = opened
    press(dock, "Compare")
    wait_compared(qtbot, dock, 1)
    assert "reference was matched to eye by its size only. Green" in dock._state.text()
    assert dock._table.item(0, 0).text() == "Dice"
    assert 0.5 < float(dock._table.item(0, 1).text()) < 1
    errors = viewer.layers["eye errors of eye disc"]
    assert set(np.unique(errors.data)) == {0, 1, 2, 3}
    viewer.layers["eye disc"].data = viewer.layers["reference"].data
    press(dock, "Compare")
    wait_compared(qtbot, dock, 2)
    assert dock._table.item(0, 1).text() == "1.0000"
    assert set(np.unique(errors.data)) == {0, 1}
    assert len(viewer.layers) == 4
    press(dock, "Copy")
    assert "Dice\t1.0000" in QGuiApplication.clipboard().text()
    dock.save(tmp_path / "scores.csv")
    assert len((tmp_path / "scores.csv").read_text().splitlines()) == 3


def test_comparing_a_layer_with_itself_is_rejected(opened, notices) -> None:
    _, dock = opened
    dock.choose("reference", "reference")
    press(dock, "Compare")
    assert "Choose two different Labels layers" in notices[-1]


def test_layers_of_different_sizes_are_rejected(qtbot, opened, notices) -> None:
    viewer, dock = opened
    viewer.add_layer(Labels(np.zeros((5, 5), np.uint8), name="small"))
    dock.choose("eye disc", "small")
    press(dock, "Compare")
    qtbot.waitUntil(lambda: bool(notices), timeout=60_000)
    assert "The sizes differ" in notices[-1]
    assert dock._button.isEnabled()


def test_added_and_removed_layers_update_the_lists_until_the_dock_is_removed(opened) -> None:
    viewer, dock = opened
    viewer.layers.remove("reference")
    assert [dock._mask.itemText(n) for n in range(dock._mask.count())] == ["eye disc"]
    viewer.window.remove_dock_widget(dock)
    viewer.layers.remove("eye disc")
    assert dock._mask.count() == 1


def test_renamed_layer_is_listed_by_its_new_name(opened) -> None:
    viewer, dock = opened
    dock.choose("reference", "eye disc")
    viewer.layers["eye disc"].name = "first reader"
    names = [dock._reference.itemText(n) for n in range(dock._reference.count())]
    assert names == ["first reader", "reference"]
    assert (dock._mask.currentText(), dock._reference.currentText()) == (
        "reference",
        "first reader",
    )


def test_two_masks_of_one_target_are_proposed() -> None:
    _, disc, cup = eye("disc", "cup")
    other = Labels(disc.data.copy(), name="second reader disc")
    unknown = Labels(disc.data.copy(), name="cells")
    assert proposed_pair([cup, disc, other]) == (disc, other)
    assert proposed_pair([cup, disc]) == (cup, None)
    assert proposed_pair([cup, unknown]) == (cup, unknown)
    assert proposed_pair([]) == (None, None)
    assert about_targets(disc, cup) == "These are different targets: disc and cup."
    assert about_targets(disc, other) == about_targets(disc, unknown) == ""


def test_no_brush_paints_into_the_error_map(qtbot, opened) -> None:
    viewer, dock = opened
    viewer.layers.selection.active = viewer.layers["eye disc"]
    press(dock, "Compare")
    wait_compared(qtbot, dock, 1)
    assert viewer.layers.selection.active == viewer.layers["eye disc"]
    assert not viewer.layers["eye errors of eye disc"].editable
