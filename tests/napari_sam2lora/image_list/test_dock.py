"""The Image list dock in a window."""

from pathlib import Path

import numpy as np
import pytest
from napari import Viewer
from napari.settings import get_plugin_settings
from npe2 import PluginManifest
from PIL import Image
from pytestqt.qtbot import QtBot
from qtpy.QtCore import QPoint
from qtpy.QtWidgets import QCheckBox, QListWidget, QMessageBox, QPushButton

from napari_sam2lora.image_list.dock import TITLE, ImageListDock
from napari_sam2lora.qt.canvas import shows_everything
from napari_sam2lora.qt.dock import main_window
from napari_sam2lora.qt.dock_protocol import note_confidence, open_segment_dock
from sam2lora.annotations.store import Corrections
from sam2lora.errors import OutputError

from ..conftest import SHAPE
from ..helpers import label_text, press

PLUGIN = "napari-sam2lora"

pytestmark = pytest.mark.viewer


def lists(viewer: Viewer) -> list[ImageListDock]:
    docks = viewer.window.dock_widgets.values()
    return [dock for dock in docks if isinstance(dock, ImageListDock)]


def rows(dock: ImageListDock) -> list[str]:
    listing = dock.findChild(QListWidget)
    return [listing.item(number).text() for number in range(listing.count())]


def fail_to_write(*_: object) -> None:
    raise OutputError("a.png: cannot be written (No space left on device).")


def paint(viewer: Viewer, name: str) -> None:
    viewer.layers[name].data_setitem((np.array([0]), np.array([0])), 1)


@pytest.fixture
def opened(make_napari_viewer, drive: Path) -> tuple[Viewer, ImageListDock]:
    """Open the tiny dataset in a window."""
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    return viewer, dock


def test_opening_a_folder_opens_one_image_list(opened, drive: Path):
    viewer, dock = opened
    assert rows(dock) == ["01_test", "21_training"]
    assert "DRIVE: 2 images, 0 done" in label_text(dock)
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]
    press(dock, "Next image")
    viewer.open(drive / "test", plugin=PLUGIN)
    assert lists(viewer) == [dock]
    assert rows(dock) == ["01_test"]
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]


def test_file_or_folder_of_one_image_opens_no_list(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    viewer.open(drive / "test", plugin=PLUGIN)
    viewer.open(drive / "training" / "images" / "21_training.tif", plugin=PLUGIN)
    assert lists(viewer) == []


def test_dock_has_the_name_by_which_the_menu_finds_it(opened):
    viewer, dock = opened
    manifest = PluginManifest.from_distribution(PLUGIN)
    (widget,) = (one for one in manifest.contributions.widgets if one.command.endswith("list"))
    assert f"{widget.display_name} ({manifest.display_name})" == TITLE
    assert viewer.window.dock_widgets[TITLE] is dock


def test_next_image_saves_and_marks_corrections(opened):
    viewer, dock = opened
    paint(viewer, "01_test vessel")
    press(dock, "Next image")
    assert [layer.name for layer in viewer.layers] == ["21_training", "21_training vessel"]
    assert rows(dock) == ["01_test •", "21_training"]
    press(dock, "Previous image")
    assert viewer.layers["01_test vessel"].data[0, 0]


def test_next_image_before_the_first_draw_does_not_crash(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer(show=True)
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    dock.step(1)
    dock.step(-1)
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]


def test_first_image_of_a_folder_is_all_in_view_beside_the_list(
    make_napari_viewer, drive: Path, qtbot: QtBot
):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(900, 900)  # the canvas is higher than wide once the list is there
    qtbot.wait(100)
    viewer.open(drive, plugin=PLUGIN)
    canvas = main_window(lists(viewer)[0]).centralWidget()
    qtbot.wait(1000)
    assert canvas.width() < canvas.height()
    assert shows_everything(viewer, canvas)


def test_stepping_beyond_either_end_does_nothing(opened):
    _viewer, dock = opened
    dock.step(-1)
    assert dock.images.current == 0
    dock.step(1)
    dock.step(1)
    assert dock.images.current == 1
    (button,) = (b for b in dock.findChildren(QPushButton) if b.text() == "Next image")
    assert not button.isEnabled()


def test_clicking_a_row_shows_its_image(opened):
    viewer, dock = opened
    listing = dock.findChild(QListWidget)
    listing.itemClicked.emit(listing.item(1))
    assert viewer.layers[0].name == "21_training"


def test_mark_as_done_is_shown_and_counted(opened):
    _viewer, dock = opened
    (done,) = (box for box in dock.findChildren(QCheckBox) if box.text() == "Mark as done")
    done.click()
    assert rows(dock) == ["01_test ✓ •", "21_training"]
    assert "1 done" in label_text(dock)
    press(dock, "Next image")
    assert not done.isChecked()


def test_autosave_follows_the_interval_of_the_preferences(make_napari_viewer, drive: Path, qtbot):
    get_plugin_settings(PLUGIN).image_list.autosave_seconds = 1
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    paint(viewer, "01_test vessel")
    qtbot.waitUntil(lambda: Corrections(drive).corrected("01_test"), timeout=10_000)
    assert "Saved vessel at" in label_text(dock)


def test_save_error_is_notified_once_and_stays_visible(
    opened, notices: list[str], monkeypatch: pytest.MonkeyPatch
):
    viewer, dock = opened
    paint(viewer, "01_test vessel")

    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", fail_to_write)
        assert not dock.save()
        assert not dock.save()
        assert len(notices) == 1
        assert "Not saved: a.png: cannot be written (No space" in label_text(dock)
        press(dock, "Next image")
        assert viewer.layers[0].name == "01_test"
    assert dock.save()
    assert "Not saved" not in label_text(dock)


def test_closing_the_window_saves_masks(opened, drive: Path):
    viewer, _ = opened
    paint(viewer, "01_test vessel")
    viewer.close()
    assert Corrections(drive).masks("01_test", SHAPE)["vessel"][0, 0]


def test_closing_the_window_asks_when_saving_fails(
    make_napari_viewer, drive: Path, monkeypatch: pytest.MonkeyPatch
):
    viewer = make_napari_viewer(show=True)
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    paint(viewer, "01_test vessel")

    questions = []

    def decline(parent: object, title: str, question: str) -> QMessageBox.StandardButton:
        questions.append(question)
        return QMessageBox.StandardButton.No

    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", fail_to_write)
        patch.setattr(QMessageBox, "question", decline)
        assert not dock.window().close()
    assert questions == ["a.png: cannot be written (No space left on device). Close anyway?"]
    assert viewer.layers["01_test vessel"].data[0, 0]


def test_mask_removed_from_the_viewer_is_saved_first(opened, drive: Path):
    viewer, _dock = opened
    paint(viewer, "01_test vessel")
    viewer.layers.remove("01_test vessel")
    assert Corrections(drive).masks("01_test", SHAPE)["vessel"][0, 0]


def test_removing_the_dock_saves_and_disconnects(opened, drive: Path):
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
    for choice, painted in (("No", 1), ("Yes", 0)):
        pressed = getattr(QMessageBox.StandardButton, choice)
        monkeypatch.setattr(QMessageBox, "question", lambda *_, pressed=pressed: pressed)
        press(dock, "Discard corrections…")
        assert viewer.layers["01_test vessel"].data[0, 0] == painted


def test_opening_another_folder_saves_and_replaces_the_first(opened, drive: Path, tmp_path: Path):
    viewer, dock = opened
    paint(viewer, "01_test vessel")
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(np.full((*SHAPE, 3), 90, np.uint8)).save(folder / f"{name}.png")
    viewer.open(folder, plugin=PLUGIN)
    assert rows(dock) == ["a", "b"]
    assert [layer.name for layer in viewer.layers] == ["a"]
    assert Corrections(drive).corrected("01_test")


def test_folder_can_be_opened_from_an_empty_dock(make_napari_viewer, drive: Path, notices):
    viewer = make_napari_viewer()
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Image list")
    assert "Open a folder" in label_text(dock)
    dock.open(drive / "gone")
    assert "there is no such folder" in notices[-1]
    dock.open(drive)
    assert rows(dock) == ["01_test", "21_training"]
    assert [layer.name for layer in viewer.layers] == ["01_test", "01_test vessel"]


def test_dock_opened_later_adopts_the_open_folder_and_its_painting(make_napari_viewer, drive: Path):
    viewer = make_napari_viewer()
    viewer.open(drive, plugin=PLUGIN)
    viewer.window.remove_dock_widget(lists(viewer)[0])
    paint(viewer, "01_test vessel")
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Image list")
    assert rows(dock) == ["01_test", "21_training"]
    dock.step(1)
    assert Corrections(drive).masks("01_test", SHAPE)["vessel"][0, 0]


def test_each_viewer_has_its_own_list(make_napari_viewer, drive: Path):
    first, second = make_napari_viewer(), make_napari_viewer()
    docks = [
        viewer.window.add_plugin_dock_widget(PLUGIN, "Image list")[1] for viewer in (first, second)
    ]
    for dock in docks:
        dock.open(drive)
    docks[0].step(1)
    assert [dock.images.current for dock in docks] == [1, 0]
    assert second.layers[0].name == "01_test"


def test_only_images_that_are_not_done_are_listed(opened):
    _viewer, dock = opened
    assert dock.finish_image(dock.images.path)
    assert dock.images.current == 1
    assert dock.images.corrections.done() == {"01_test"}
    listing = dock.findChild(QListWidget)
    assert not listing.item(0).isHidden()
    press(dock, "Only images that are not done")
    assert listing.item(0).isHidden()
    assert not listing.item(1).isHidden()
    dock.step(-1)
    assert dock.images.current == 1
    dock.finish_image(dock.images.path)
    assert dock.images.current == 1
    assert dock.next_image(dock.images.path) is None


def test_image_that_is_not_shown_is_neither_finished_nor_followed(opened):
    _viewer, dock = opened
    other = str(dock.images.images[1].path)
    assert not dock.finish_image(other)
    assert dock.next_image(other) is None
    assert dock.images.current == 0
    assert dock.images.corrections.done() == set()


def test_folder_opens_at_the_image_that_was_left(opened, drive: Path, make_napari_viewer):
    _viewer, dock = opened
    dock.finish_image(dock.images.path)
    other = make_napari_viewer()
    other.open(drive, plugin=PLUGIN)
    (again,) = lists(other)
    assert again.images.current == 1
    assert other.layers[0].name == "21_training"


def test_next_image_is_read_without_its_masks(opened):
    _viewer, dock = opened
    following = dock.next_image(dock.images.path)
    assert following.key == str(dock.images.images[1].path)
    assert following.annotated == {"vessel"}
    data, options, kind = following.read()
    assert (data.shape, options["name"], kind) == ((*SHAPE, 3), "21_training", "image")


def test_segment_dock_is_opened_once_under_the_name_of_its_menu_entry(opened):
    viewer, dock = opened
    press(dock, "Segment…")
    open_segment_dock(viewer)
    titles = [title for title in viewer.window.dock_widgets if title.startswith("Segment")]
    manifest = PluginManifest.from_distribution(PLUGIN)
    (widget,) = (one for one in manifest.contributions.widgets if one.command.endswith("segment"))
    assert titles == [f"{widget.display_name} ({manifest.display_name})"]
    viewer.window.dock_widgets[titles[0]].session.close()


def test_least_sure_images_come_first_if_wished(opened, drive: Path):
    viewer, dock = opened
    (second,) = (one.path for one in dock.images.images if one.stem == "21_training")
    note_confidence(viewer, str(second), "disc", 0.12)
    assert rows(dock) == ["01_test", "21_training 0.12"]
    (box,) = (one for one in dock.findChildren(QCheckBox) if one.text() == "Least sure first")
    box.click()
    assert rows(dock) == ["21_training 0.12", "01_test"]
    assert dock.images.images[dock.images.current].stem == "01_test"
    press(dock, "Previous image")
    assert [layer.name for layer in viewer.layers] == ["21_training", "21_training vessel"]
    dock.open(drive)  # known again only after it is predicted again
    assert rows(dock) == ["01_test", "21_training"]
    box.click()
    assert rows(dock) == ["01_test", "21_training"]


@pytest.mark.parametrize("height", [700, 480])
def test_button_stays_where_it_is_when_a_message_appears(
    make_napari_viewer,
    drive: Path,
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    height: int,
    notices,
):
    viewer = make_napari_viewer(show=True)
    viewer.open(drive, plugin=PLUGIN)
    (dock,) = lists(viewer)
    window = main_window(dock)
    window.resize(1218, height)
    qtbot.wait(700)  # until the dock has found its place
    buttons = {one.text(): one for one in dock.findChildren(QPushButton) if one.isVisible()}

    def places() -> dict[str, QPoint]:
        return {text: one.mapTo(window, QPoint(0, 0)) for text, one in buttons.items()}

    before = places()
    assert {"Next image", "Previous image", "Segment…", "Discard corrections…"} <= set(before)
    paint(viewer, "01_test vessel")
    dock.save()
    qtbot.wait(50)
    assert "Saved vessel" in label_text(dock)
    assert places() == before
    viewer.layers["01_test vessel"].data_setitem((np.array([1]), np.array([0])), 1)
    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "save", fail_to_write)
        assert not dock.save()
        qtbot.wait(50)
    assert "Not saved" in label_text(dock)
    assert places() == before
    assert dock.save()
