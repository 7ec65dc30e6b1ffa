"""The Grade dock in a window."""

from collections.abc import Callable
from pathlib import Path

import pytest
from napari import Viewer
from npe2 import PluginManifest
from pytestqt.qtbot import QtBot
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QCheckBox, QComboBox, QPushButton

from napari_sam2lora.grading import dock as module
from napari_sam2lora.grading import starting
from napari_sam2lora.grading.background_training import BackgroundTraining
from napari_sam2lora.grading.dock import TITLE, GradeDock
from napari_sam2lora.qt.dock import main_window
from napari_sam2lora.qt.dock_protocol import finish_image, next_image
from sam2lora.errors import OutputError
from sam2lora.grading import GradingSession, SessionGrader

from ..helpers import label_text, press
from .conftest import WAIT, draw_images, mask_layer, paint

PLUGIN = "napari-sam2lora"

pytestmark = pytest.mark.viewer


def states(dock: GradeDock) -> list[str]:
    return [dock.work.row(stem).state for stem in dock.work.stems]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return the answers to what is asked, the next one first."""
    left: list[bool] = []

    def agree(parent: object, title: str, text: str, *, action: str) -> bool:
        return left.pop(0)

    def keep(parent: object, title: str, text: str, *, keep: str, delete: str) -> bool:
        return left.pop(0)

    monkeypatch.setattr(starting, "confirm", agree)
    monkeypatch.setattr(starting, "keep_or_delete", keep)
    monkeypatch.setattr(module, "confirm", agree)
    return left


def test_dock_has_the_name_of_the_manifest():
    manifest = PluginManifest.from_distribution("napari-sam2lora")
    (widget,) = (one for one in manifest.contributions.widgets if one.command.endswith("grade"))
    assert f"{widget.display_name} ({manifest.display_name})" == TITLE


def test_images_are_graded_one_after_another(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    assert dock.table.listed() == ["eye1", "eye2", "eye3"]
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    press(dock, "Gradable")
    press(dock, "Done")
    assert dock.work.stem == "eye2"
    assert "Next in the list." in label_text(dock)
    press(dock, "Skip")
    assert dock.work.stem == "eye3"
    dock.panel.state_chosen.emit("flagged", "two discs")
    assert states(dock) == ["done", "skipped", "flagged"]
    assert "That was the last image." in label_text(dock)
    assert "trial, anna: 1 of 3 done" in label_text(dock)
    press(dock, "Back")
    assert dock.work.stem == "eye2"
    press(dock, "Reopen")
    assert states(dock) == ["done", "started", "flagged"]
    assert dock.work.grader.grade("eye1").quality == "gradable"


def test_list_is_filtered_and_sorted_by_doubt(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    dock.note_confidence(str(dock.work.session.path("eye3")), "disc", 0.3)
    next(one for one in dock.findChildren(QCheckBox) if "doubtful" in one.text()).click()
    press(dock, "Next")
    assert dock.work.stem == "eye3"
    assert "Lowest confidence: disc" in label_text(dock)
    box = next(one for one in dock.findChildren(QComboBox) if one.findText("With a doubt") >= 0)
    box.setCurrentText("With a doubt")
    assert dock.table.listed() == ["eye3"]


def test_a_row_shows_its_image(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    dock.table.chosen.emit("eye3")
    assert dock.work.stem == "eye3"
    assert dock._viewer.layers[0].name == "eye3"


def test_the_segment_dock_finishes_an_image(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    viewer = dock._viewer
    first = dock.work.shown.path
    assert next_image(viewer, first).key == str(dock.work.session.path("eye2"))
    assert finish_image(viewer, first)
    assert states(dock)[0] == "done"
    assert dock.work.stem == "eye2"


def test_an_image_of_the_image_list_is_not_finished(
    open_dock: Callable[..., GradeDock], tmp_path: Path
):
    dock = open_dock()
    viewer = dock._viewer
    images = draw_images(tmp_path / "others")
    listing = viewer.window.add_plugin_dock_widget(PLUGIN, "Image list")[1]
    listing.open(images)
    listed = listing.images.path
    assert next_image(viewer, listed).key == str(images / "eye2.png")
    assert finish_image(viewer, listed)
    assert listing.images.path == str(images / "eye2.png")
    assert dock.work.stem == "eye1"
    assert states(dock) == ["to do"] * 3
    assert finish_image(viewer, dock.work.shown.path)
    assert dock.work.stem == "eye2"
    assert listing.images.path == str(images / "eye2.png")
    assert not finish_image(viewer, "/elsewhere/eye.png")


def test_everything_is_done_with_keys(open_dock: Callable[..., GradeDock], qtbot: QtBot):
    if QApplication.platformName() == "offscreen":
        pytest.skip("no keys without a window")
    dock = open_dock(start=False)
    window = main_window(dock)
    dock._viewer.window.show()
    qtbot.waitExposed(window)
    dock.start("anna")
    alt = Qt.KeyboardModifier.AltModifier
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=WAIT)
    qtbot.keyClick(window, Qt.Key.Key_3, alt)
    qtbot.keyClick(window, Qt.Key.Key_K, alt)
    assert states(dock) == ["skipped", "to do", "to do"]
    assert dock.work.grader.grade("eye1").quality == "no"
    qtbot.keyClick(window, Qt.Key.Key_M, alt)
    assert dock.panel.comment.hasFocus()
    qtbot.keyClicks(dock.panel.comment, "blurred")
    qtbot.keyClick(window, Qt.Key.Key_D, alt)
    assert states(dock) == ["skipped", "done", "to do"]
    assert dock.work.grader.grade("eye2").comment == "blurred"
    qtbot.keyClick(window, Qt.Key.Key_Left, alt)
    assert dock.work.stem == "eye2"


def test_what_was_not_saved_is_offered_and_comes_back(
    open_dock: Callable[..., GradeDock], answers: list[bool], qtbot: QtBot
):
    dock = open_dock()
    press(dock, "Next")
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    dock.work.note_typing("bl")
    file = dock.work.grader.recovery
    qtbot.waitUntil(file.path.exists, timeout=WAIT)
    qtbot.waitUntil(lambda: file.read().notes["comment"] == "bl", timeout=WAIT)
    dock.grading.end(save=False)  # as a killed process leaves it
    answers.append(True)
    later = open_dock()
    assert later.work.stem == "eye2"
    assert mask_layer(later._viewer, later.work.shown.path).data.astype(bool).sum() == 4
    assert later.work.grader.grade("eye2").comment == "bl"
    press(later, "Save")
    assert not later.work.grader.recovery.path.exists()
    press(later, "Close session")


def test_what_is_not_wanted_back_is_deleted(
    open_dock: Callable[..., GradeDock], answers: list[bool], session: GradingSession
):
    with SessionGrader(session, "anna") as grader:
        grader.recovery.write("eye2", notes={}, arrays={})
    answers.append(False)
    dock = open_dock()
    assert dock.work.stem == "eye1"
    assert not dock.work.grader.recovery.path.exists()


def test_a_second_window_reads_only(
    open_dock: Callable[..., GradeDock], answers: list[bool], session: GradingSession
):
    first = open_dock()
    answers.append(True)
    second = open_dock()
    assert "Read only" in label_text(second)
    assert not second.panel.comment.isEnabled()
    press(second, "Next")
    assert second.work.stem == "eye2"
    answers.append(False)
    third = open_dock()
    assert third.work is None
    assert first.stop()
    assert second.stop()


def test_session_is_closed_and_opened_again(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    press(dock, "Close session")
    assert dock.work is None
    assert len(dock._viewer.layers) == 0
    dock.start("anna")
    assert mask_layer(dock._viewer, dock.work.shown.path).data.astype(bool).sum() == 4
    dock._viewer.window.remove_dock_widget(dock)
    with SessionGrader(dock.opener.session, "anna"):
        pass  # the lock is released


def test_what_cannot_be_saved_stays(
    open_dock: Callable[..., GradeDock], answers: list[bool], notices: list[str], monkeypatch
):
    dock = open_dock()
    paint(mask_layer(dock._viewer, dock.work.shown.path))

    def full(*_: object) -> None:
        raise OutputError("No space left on device.")

    monkeypatch.setattr(dock.work.grader.corrections, "save", full)
    press(dock, "Next")
    assert dock.work.stem == "eye1"
    assert not dock.stop()
    assert "No space" in notices[-1]
    answers.append(False)
    assert not dock._may_close()
    answers.append(True)
    assert dock._may_close()


def test_a_deleted_mask_is_saved_before(open_dock: Callable[..., GradeDock]):
    dock = open_dock()
    viewer: Viewer = dock._viewer
    layer = mask_layer(viewer, dock.work.shown.path)
    paint(layer)
    viewer.layers.remove(layer)
    assert dock.work.grader.corrections.has("eye1", "disc")


def test_session_and_masks_are_exported(
    open_dock: Callable[..., GradeDock], tmp_path: Path, qtbot: QtBot
):
    dock = open_dock()
    paint(mask_layer(dock._viewer, dock.work.shown.path))
    press(dock, "Done")
    dock.export(tmp_path / "out")
    qtbot.waitUntil(lambda: "masks of 1 images" in label_text(dock), timeout=WAIT)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"session.csv", "session.json", "coco.json", "label_maps", "dataset"}
    press(dock, "Next")
    dock.export(dock.work.session.folder / "out")
    qtbot.waitUntil(lambda: "lies in the session" in label_text(dock), timeout=WAIT)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what is asked of the training of a dock, which trains nothing."""
    found: list[str] = []
    for name in ("consider", "undo", "stop", "release"):

        def note(_training: object, *_: object, name: str = name) -> None:
            found.append(name)

        monkeypatch.setattr(BackgroundTraining, name, note)
    return found


def test_training_stops_with_its_switch_and_the_session(
    open_dock: Callable[..., GradeDock], asked: list[str]
):
    dock = open_dock()
    dock.training_panel.switch.click()
    press(dock, "Done")
    assert asked == ["consider", "consider"]
    dock.training_panel.switch.click()
    assert asked == ["consider", "consider", "stop"]
    press(dock, "Close session")
    assert asked[3:] == ["stop"]
    dock._viewer.close()
    assert asked[-1] in ("stop", "release")
    assert len(asked) > 4, "when the window closes, too"


def test_training_is_undone_for_the_target_that_is_chosen(
    open_dock: Callable[..., GradeDock], asked: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        BackgroundTraining, "can_undo", lambda _training, work, target: target == "disc"
    )
    dock = open_dock()
    box = dock.training_panel.target
    for target, can in (("cup", False), ("disc", True)):
        box.setCurrentText(target)
        box.activated.emit(box.currentIndex())
        press_undo = next(
            one for one in dock.training_panel.findChildren(QPushButton) if one.text() == "Undo"
        )
        assert press_undo.isEnabled() is can
    press_undo.click()
    assert asked[-1] == "undo"
