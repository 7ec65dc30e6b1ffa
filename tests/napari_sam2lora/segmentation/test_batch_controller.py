"""Segmenting many files from the dock."""

import threading
from pathlib import Path

import pytest
from PIL import Image
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QTableWidget

from ..helpers import press
from ..segmentation_window import WAIT, Window, fundus

pytestmark = pytest.mark.viewer


def cells(window: Window) -> list[tuple[str, str]]:
    table = window.dock.batch_panel.findChild(QTableWidget)
    return [(table.item(n, 0).text(), table.item(n, 1).text()) for n in range(table.rowCount())]


def test_batch_lists_the_result_of_every_file(ready: Window, files: Path):
    press(ready.dock.batch_panel, "Segment files")
    assert not ready.dock.batch_panel.run.isEnabled()
    ready.idle()
    first, second, third = cells(ready)
    assert (first[0], second[0], third[0]) == ("a.png", "b.png", "c.png")
    assert "predicted IoU: disc" in first[1]
    assert "is not an image" in third[1]
    assert "2 segmented, 1 failed" in ready.dock.batch_panel.message.text()
    assert sorted(path.name for path in (files.parent / "masks").iterdir()) == [
        *("a_disc.png", "b_disc.png")
    ]
    assert ready.dock.batch_panel.run.isEnabled()


def test_missing_input_is_explained(window: Window):
    batch = window.dock.batch_panel
    press(batch, "disc")  # it was selected
    for message, supply in (
        ("Choose images", lambda: batch.show_images(["x"])),
        ("Choose a folder", lambda: batch.out.setText("out")),
        ("Select a target", lambda: press(batch, "disc")),
    ):
        for label in ("Segment files", "Copy as command"):
            batch.message.setText("")
            press(batch, label)
            assert message in batch.message.text()
        supply()
    press(batch, "Copy as command")
    assert batch.message.text().startswith("sam2lora predict x --target disc")


def test_folder_without_images_is_explained(ready: Window, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    ready.dock.batch_panel.show_images([str(tmp_path / "empty")])
    press(ready.dock.batch_panel, "Segment files")
    assert "there is no image here" in ready.dock.batch_panel.message.text()
    assert ready.dock.batch_panel.run.isEnabled()


def test_cancelled_batch_leaves_complete_files(
    ready: Window, files: Path, monkeypatch: pytest.MonkeyPatch
):
    ready.segment()
    from sam2lora.inference.predictor import Predictor

    real, second, cancelled = Predictor.predict, threading.Event(), threading.Event()
    calls: list[object] = []

    def slow(*args, **options):
        calls.append(args)
        if len(calls) == 2:
            second.set()
            assert cancelled.wait(60)
        return real(*args, **options)

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


def test_existing_masks_are_kept_unless_the_option_is_cleared(ready: Window, files: Path):
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
    press(ready.dock.batch_panel, "Skip existing masks")
    press(ready.dock.batch_panel, "Segment files")
    ready.idle()
    Image.open(masks / "a_disc.png").load()


@pytest.fixture
def hold_first(ready: Window, monkeypatch: pytest.MonkeyPatch):
    """Return a function that starts a batch, holds its first file, and records the order."""
    ready.segment()
    from sam2lora.inference.predictor import Predictor

    real, first, resume = Predictor.predict, threading.Event(), threading.Event()
    requested, order = ready.session.result.prepared, []

    def slow(predictor, prepared, *args, **options):
        order.append("request" if prepared is requested else "file")
        first.set()
        assert resume.wait(60)
        return real(predictor, prepared, *args, **options)

    monkeypatch.setattr(Predictor, "predict", slow)

    def start() -> tuple[threading.Event, list[str]]:
        press(ready.dock.batch_panel, "Segment files")
        ready.qtbot.waitUntil(first.is_set, timeout=WAIT)
        return resume, order

    return start


def test_request_is_segmented_between_two_files(ready: Window, files: Path, hold_first):
    Image.fromarray(fundus(seed=3).data).save(files / "c.png")
    resume, order = hold_first()
    press(ready.dock, "Segment")
    resume.set()
    ready.idle()
    assert order == ["file", "file", "request", "file"]
    assert len(cells(ready)) == 3


def test_stop_cancels_the_batch_but_no_request(ready: Window, hold_first):
    resume, order = hold_first()
    press(ready.dock, "Segment")
    press(ready.dock.batch_panel, "Stop")
    with ready.wait_result():
        resume.set()
    ready.idle()
    assert order == ["file", "request"]
    assert "Cancelled after 0 of 3 images" in ready.dock.batch_panel.message.text()
    assert ready.dock.batch_panel.run.isEnabled()
    assert not ready.dock.batch_panel.stop.isEnabled()


def test_folder_of_the_image_list_is_the_default(make_napari_viewer, open_window, files: Path):
    (files / "c.png").unlink()
    layer = fundus(path=files / "a.png")
    layer.metadata = {"sam2lora": {**layer.metadata["sam2lora"], "listed_in": str(files)}}
    window = open_window(layer)
    assert window.dock.batch_panel.images == (str(files),)
