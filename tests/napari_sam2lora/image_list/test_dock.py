"""The image list in a window."""

from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.settings import get_plugin_settings
from npe2 import PluginManifest
from PIL import Image
from qtpy.QtWidgets import QCheckBox, QLabel, QListWidget, QMessageBox, QPushButton

from napari_sam2lora.image_list.dock import TITLE, ImageListDock
from sam2lora.annotations.store import Corrections
from sam2lora.errors import OutputError

from ..conftest import SHAPE

PLUGIN = "napari-sam2lora"

pytestmark = pytest.mark.viewer


def lists(viewer: Viewer) -> list[ImageListDock]:
    docks = viewer.window.dock_widgets.values()
    return [dock for dock in docks if isinstance(dock, ImageListDock)]


def press(dock: ImageListDock, text: str) -> None:
    (button,) = (one for one in dock.findChildren(QPushButton) if one.text() == text)
    button.click()


def rows(dock: ImageListDock) -> list[str]:
    listing = dock.findChild(QListWidget)
    return [listing.item(number).text() for number in range(listing.count())]


def words(dock: ImageListDock) -> str:
    return " ".join(label.text() for label in dock.findChildren(QLabel))


def paint(viewer: Viewer, name: str) -> None:
    viewer.layers[name].data_setitem((np.array([0]), np.array([0])), 1)


@pytest.fixture
def opened(make_napari_viewer, drive: Path) -> tuple[Viewer, ImageListDock]:
    """Open the tiny data set in a window."""
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    return viewer, dock


def test_opening_a_folder_opens_its_list_once(opened, drive: Path):
    viewer, dock = opened
    assert rows(dock) == ["01_test", "21_training"]
    assert "DRIVE: 2 images, 0 done" in words(dock)
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]
    press(dock, "Next")
    viewer.open(drive / "test", plugin=PLUGIN)
    assert lists(viewer) == [dock]
    assert rows(dock) == ["01_test"]
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]


def test_a_file_or_a_folder_of_one_image_opens_no_list(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    viewer.open(drive / "test", plugin=PLUGIN)
    viewer.open(drive / "training" / "images" / "21_training.tif", plugin=PLUGIN)
    assert lists(viewer) == []


def test_it_has_the_name_by_which_the_menu_shows_and_hides_it(opened):
    viewer, dock = opened
    manifest = PluginManifest.from_distribution(PLUGIN)
    (widget,) = (one for one in manifest.contributions.widgets if one.command.endswith("list"))
    assert f"{widget.display_name} ({manifest.display_name})" == TITLE
    assert viewer.window.dock_widgets[TITLE] is dock


def test_steps_save_show_and_mark_what_was_corrected(opened):
    viewer, dock = opened
    paint(viewer, "01_test vessel")
    press(dock, "Next")
    assert [layer.name for layer in viewer.layers] == ["21_training", "21_training vessel"]
    assert rows(dock) == ["01_test •", "21_training"]
    press(dock, "Previous")
    assert viewer.layers["01_test vessel"].data[0, 0]


def test_a_step_is_safe_even_before_the_window_is_drawn(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer(show=True)
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    dock.step(1)
    dock.step(-1)
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]


def test_at_either_end_there_is_no_further_step(opened):
    _viewer, dock = opened
    dock.step(-1)
    assert dock.images.current == 0
    dock.step(1)
    dock.step(1)
    assert dock.images.current == 1
    (following,) = (one for one in dock.findChildren(QPushButton) if one.text() == "Next")
    assert not following.isEnabled()


def test_clicking_a_row_shows_its_image(opened):
    viewer, dock = opened
    listing = dock.findChild(QListWidget)
    listing.itemClicked.emit(listing.item(1))
    assert viewer.layers[0].name == "21_training"


def test_done_is_ticked_and_counted(opened):
    _viewer, dock = opened
    dock.findChild(QCheckBox).click()
    assert rows(dock) == ["01_test ✓ •", "21_training"]
    assert "1 done" in words(dock)
    press(dock, "Next")
    assert not dock.findChild(QCheckBox).isChecked()


def test_what_is_painted_is_saved_after_the_interval_of_the_preferences(
    make_napari_viewer, drive: Path, qtbot
):
    get_plugin_settings(PLUGIN).image_list.autosave_seconds = 1
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    paint(viewer, "01_test vessel")
    qtbot.waitUntil(lambda: Corrections(drive).corrected("01_test"), timeout=10_000)
    assert "Saved vessel at" in words(dock)


def test_what_cannot_be_saved_is_told_once_and_stays_in_sight(
    opened, notices: list[str], monkeypatch: pytest.MonkeyPatch
):
    viewer, dock = opened
    paint(viewer, "01_test vessel")

    def refuse(*_: object) -> None:
        raise OutputError("a.png: cannot be written (No space left on device).")

    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", refuse)
        assert not dock.save()
        assert not dock.save()
        assert len(notices) == 1
        assert "Not saved: a.png: cannot be written (No space" in words(dock)
        press(dock, "Next")
        assert viewer.layers[0].name == "01_test"
    assert dock.save()
    assert "Not saved" not in words(dock)


def test_closing_the_window_saves(opened, drive: Path):
    viewer, _ = opened
    paint(viewer, "01_test vessel")
    viewer.close()
    assert Corrections(drive).masks("01_test", SHAPE)["vessel"][0, 0]


def test_closing_the_window_waits_for_an_answer_where_saving_fails(
    make_napari_viewer, drive: Path, monkeypatch: pytest.MonkeyPatch
):
    viewer = make_napari_viewer(show=True)
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    paint(viewer, "01_test vessel")

    def refuse(*_: object) -> None:
        raise OutputError("a.png: cannot be written (No space left on device).")

    asked = []

    def no(parent: object, title: str, question: str) -> QMessageBox.StandardButton:
        asked.append(question)
        return QMessageBox.StandardButton.No

    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", refuse)
        patch.setattr(QMessageBox, "question", no)
        assert not dock.window().close()
    assert asked == ["a.png: cannot be written (No space left on device). Close all the same?"]
    assert viewer.layers["01_test vessel"].data[0, 0]


def test_a_mask_that_is_deleted_from_the_viewer_is_saved_first(opened, drive: Path):
    viewer, _dock = opened
    paint(viewer, "01_test vessel")
    viewer.layers.remove("01_test vessel")
    assert Corrections(drive).masks("01_test", SHAPE)["vessel"][0, 0]


def test_taking_the_dock_away_saves_and_lets_go(opened, drive: Path):
    viewer, dock = opened
    paint(viewer, "01_test vessel")
    viewer.window.remove_dock_widget(dock)
    assert Corrections(drive).corrected("01_test")
    viewer.open(drive, plugin=PLUGIN)
    (new,) = lists(viewer)
    assert new is not dock


def test_discarding_asks_first(opened, monkeypatch: pytest.MonkeyPatch):
    viewer, dock = opened
    paint(viewer, "01_test vessel")
    for answer, painted in (("No", 1), ("Yes", 0)):
        chosen = getattr(QMessageBox.StandardButton, answer)
        monkeypatch.setattr(QMessageBox, "question", lambda *_, chosen=chosen: chosen)
        press(dock, "Discard corrections…")
        assert viewer.layers["01_test vessel"].data[0, 0] == painted


def test_another_folder_takes_the_place_of_the_first_after_saving(
    opened, drive: Path, tmp_path: Path
):
    viewer, dock = opened
    paint(viewer, "01_test vessel")
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((*SHAPE, 3), 90, np.uint8)).save(photographs / f"{name}.png")
    viewer.open(photographs, plugin=PLUGIN)
    assert rows(dock) == ["a", "b"]
    assert [layer.name for layer in viewer.layers] == ["a"]
    assert Corrections(drive).corrected("01_test")


def test_a_folder_can_be_opened_from_an_empty_dock(make_napari_viewer, drive: Path, notices):
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Image list")
    assert "Open a folder" in words(dock)
    dock.open(drive / "gone")
    assert "there is no such folder" in notices[-1]
    dock.open(drive)
    assert rows(dock) == ["01_test", "21_training"]
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]


def test_a_dock_that_comes_later_finds_what_was_opened_and_painted(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    viewer.window.remove_dock_widget(lists(viewer)[0])
    paint(viewer, "01_test vessel")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Image list")
    assert rows(dock) == ["01_test", "21_training"]
    dock.step(1)
    assert Corrections(drive).masks("01_test", SHAPE)["vessel"][0, 0]


def test_each_window_has_a_list_of_its_own(make_napari_viewer, drive: Path):
    first, second = make_napari_viewer(), make_napari_viewer()
    docks = [
        viewer.window.add_plugin_dock_widget(PLUGIN, "Image list")[1] for viewer in (first, second)
    ]
    for dock in docks:
        dock.open(drive)
    docks[0].step(1)
    assert [dock.images.current for dock in docks] == [1, 0]
    assert second.layers[0].name == "01_test"
