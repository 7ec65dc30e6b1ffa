"""Many files, and the commands that do the same."""

import shlex
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QFileDialog, QTableWidget

from napari_sam2lora.segmentation.widgets.model_panel import NO_ADAPTER
from sam2lora.cli import main

from ...segmentation_window import WAIT, Window, fundus, pick, press

pytestmark = pytest.mark.viewer


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Give a folder with two photographs and a file that is none."""
    folder = tmp_path / "eyes"
    folder.mkdir()
    for number, name in enumerate("ab"):
        Image.fromarray(fundus(seed=number).data).save(folder / f"{name}.png")
    (folder / "c.png").write_text("no image")
    return folder


@pytest.fixture
def ready(window: Window, files: Path) -> Window:
    """Give a window in which the folder is chosen."""
    window.dock.batch_panel.show_images([str(files)])
    window.dock.batch_panel.out.setText(str(files.parent / "masks"))
    return window


def cells(window: Window) -> list[tuple[str, str]]:
    table = window.dock.batch_panel.findChild(QTableWidget)
    return [(table.item(n, 0).text(), table.item(n, 1).text()) for n in range(table.rowCount())]


def run_command(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", shlex.split(text))
    with pytest.raises(SystemExit) as left:
        main()
    return int(left.value.code or 0)


def test_all_files_with_a_table_of_what_became_of_them(ready: Window, files: Path):
    press(ready.dock.batch_panel, "Segment files")
    assert not ready.dock.batch_panel.run.isEnabled()
    ready.idle()
    first, second, third = cells(ready)
    assert (first[0], second[0], third[0]) == ("a.png", "b.png", "c.png")
    assert "predicted IoU: disc" in first[1]
    assert "is not an image" in third[1]
    assert "2 segmented, 1 failed" in ready.dock.batch_panel.message.text()
    assert sorted(one.name for one in (files.parent / "masks").iterdir()) == [
        *("a_disc.png", "b_disc.png")
    ]
    assert ready.dock.batch_panel.run.isEnabled()


def test_the_copied_command_writes_the_same_masks(
    ready: Window, files: Path, monkeypatch: pytest.MonkeyPatch
):
    pick(ready.dock.model_panel.adapter, NO_ADAPTER)
    press(ready.dock.batch_panel, "cup")
    press(ready.dock.batch_panel, "Segment files")
    ready.idle()
    written = {one.name: one.read_bytes() for one in (files.parent / "masks").iterdir()}
    assert sorted(written) == ["a_cup.png", "a_disc.png", "b_cup.png", "b_disc.png"]
    ready.dock.batch_panel.out.setText(str(files.parent / "again"))
    press(ready.dock.batch_panel, "Copy as command")
    commands = QGuiApplication.clipboard().text().splitlines()
    assert len(commands) == 2  # disc is answered by the bare base, cup is not
    for command in commands:
        assert run_command(command, monkeypatch) == 1  # one of the files is no image
    again = {one.name: one.read_bytes() for one in (files.parent / "again").iterdir()}
    assert again == written


def test_the_command_of_one_image_gives_its_preview(
    ready: Window, files: Path, monkeypatch: pytest.MonkeyPatch
):
    ready.viewer.add_layer(fundus("a", path=files / "a.png"))
    ready.segment()
    with ready.wait_result():
        ready.click(90, 70)
    answer = np.array(ready.preview().data)[ready.session.result.prepared.field.mask]
    ready.dock.threshold.number.setValue(round(float(np.median(answer)), 3))
    (copy,) = (ready.dock._copy,)
    copy.click()
    command = QGuiApplication.clipboard().text()
    ready.session.choices.start_from_mask = True
    copy.click()
    assert QGuiApplication.clipboard().text() == command
    assert "add --mask FILE" in ready.dock.progress.message.text()
    assert "--point=90.0,70.0,+" in command
    monkeypatch.chdir(files.parent)
    assert run_command(command, monkeypatch) == 0
    written = np.asarray(Image.open(files.parent / "masks" / "a_disc.png")) > 0
    np.testing.assert_array_equal(written, ready.session.results.mask(ready.session.target_key))


def test_an_image_without_a_file_has_no_command(window: Window, notices: list[str]):
    window.dock._copy.click()
    assert "needs a file" in notices[-1]


def test_what_is_missing_is_said(window: Window):
    batch = window.dock.batch_panel
    press(batch, "disc")  # it was ticked
    for wanted, give in (
        ("Choose images", lambda: batch.show_images(["x"])),
        ("Choose a folder", lambda: batch.out.setText("out")),
        ("Select a target", lambda: press(batch, "disc")),
    ):
        for wish in ("Segment files", "Copy as command"):
            batch.message.setText("")
            press(batch, wish)
            assert wanted in batch.message.text()
        give()
    press(batch, "Copy as command")
    assert batch.message.text().startswith("sam2lora predict x --target disc")


def test_a_folder_without_images_is_said(ready: Window, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    ready.dock.batch_panel.show_images([str(tmp_path / "empty")])
    press(ready.dock.batch_panel, "Segment files")
    assert "there is no image here" in ready.dock.batch_panel.message.text()
    assert ready.dock.batch_panel.run.isEnabled()


def test_it_can_be_cancelled_and_leaves_whole_files(
    ready: Window, files: Path, monkeypatch: pytest.MonkeyPatch
):
    ready.segment()
    from sam2lora.inference.predictor import Predictor

    real, second, cancelled = Predictor.predict, threading.Event(), threading.Event()
    asked: list[object] = []

    def slow(*given, **how):
        asked.append(given)
        if len(asked) == 2:
            second.set()
            assert cancelled.wait(60)
        return real(*given, **how)

    monkeypatch.setattr(Predictor, "predict", slow)
    press(ready.dock.batch_panel, "Segment files")
    ready.qtbot.waitUntil(second.is_set, timeout=WAIT)
    ready.cancel()
    with ready.qtbot.waitSignal(ready.session.queue.worker.stopped, timeout=WAIT):
        cancelled.set()
    assert ready.dock.batch_panel.run.isEnabled()
    assert ready.messages[-1] == "Cancelled."
    assert [image for image, _ in cells(ready)] == ["a.png"]
    assert "Cancelled after 1 of 3 images" in ready.dock.batch_panel.message.text()
    for path in (files.parent / "masks").iterdir():
        Image.open(path).load()


def test_masks_that_are_there_are_kept_unless_the_user_says_otherwise(ready: Window, files: Path):
    masks = files.parent / "masks"
    masks.mkdir()
    (masks / "a_disc.png").write_text("corrected")
    press(ready.dock.batch_panel, "Segment files")
    ready.idle()
    assert (masks / "a_disc.png").read_text() == "corrected"
    assert cells(ready)[0] == ("a.png", "skipped: disc")
    assert "skipped: 1" in ready.dock.batch_panel.message.text()
    assert (masks / "b_disc.png").exists()
    press(ready.dock.batch_panel, "Copy as command")
    assert "--keep" in QGuiApplication.clipboard().text()
    press(ready.dock.batch_panel, "Keep masks that are there already")
    press(ready.dock.batch_panel, "Segment files")
    ready.idle()
    Image.open(masks / "a_disc.png").load()


@pytest.fixture
def held(ready: Window, monkeypatch: pytest.MonkeyPatch):
    """Begin to segment files, let the first wait, and tell what is answered in which order."""
    ready.segment()
    from sam2lora.inference.predictor import Predictor

    real, first, go_on = Predictor.predict, threading.Event(), threading.Event()
    mine, order = ready.session.result.prepared, []

    def slow(predictor, scene, *given, **how):
        order.append("question" if scene is mine else "file")
        first.set()
        assert go_on.wait(60)
        return real(predictor, scene, *given, **how)

    monkeypatch.setattr(Predictor, "predict", slow)

    def begin() -> tuple[threading.Event, list[str]]:
        press(ready.dock.batch_panel, "Segment files")
        ready.qtbot.waitUntil(first.is_set, timeout=WAIT)
        return go_on, order

    return begin


def test_a_question_is_answered_between_two_files(ready: Window, files: Path, held):
    Image.fromarray(fundus(seed=3).data).save(files / "c.png")
    go_on, order = held()
    press(ready.dock, "Segment")
    go_on.set()
    ready.idle()
    assert order == ["file", "file", "question", "file"]
    assert len(cells(ready)) == 3


def test_stop_stops_the_files_alone(ready: Window, held):
    go_on, order = held()
    press(ready.dock, "Segment")
    press(ready.dock.batch_panel, "Stop")
    with ready.wait_result():
        go_on.set()
    ready.idle()
    assert order == ["file", "question"]
    assert "Cancelled after 0 of 3 images" in ready.dock.batch_panel.message.text()
    assert ready.dock.batch_panel.run.isEnabled()
    assert not ready.dock.batch_panel.stop.isEnabled()


def test_images_and_folders_are_asked_for(window: Window, monkeypatch: pytest.MonkeyPatch):
    batch = window.dock.batch_panel
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "/some/folder")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: (["/a.png", "/b.png"], ""))
    press(batch, "Folder…")
    press(batch, "Output folder…")
    assert (batch.images, batch.out.text()) == (("/some/folder",), "/some/folder")
    press(batch, "Files…")
    assert batch.images == ("/a.png", "/b.png")


def test_the_folder_of_the_image_list_is_offered(make_napari_viewer, open_window, files: Path):
    (files / "c.png").unlink()
    layer = fundus(path=files / "a.png")
    about = {**layer.metadata["sam2lora"], "listed_in": str(files)}
    layer.metadata = {"sam2lora": about}
    window = open_window(layer)
    assert window.dock.batch_panel.images == (str(files),)
