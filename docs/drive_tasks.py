"""What is driven besides going through images, for `drive_window.py`.

Each function takes a `Drive` and does what a user does. The script ends if the result is not there.
"""

import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from qtpy.QtCore import QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPushButton,
    QWidget,
)

from sam2lora.runs import summarize

if TYPE_CHECKING:
    from drive_window import Drive

_ANSWER = 700  # milliseconds until a dialog is answered: it has been drawn
_CLOSED = 5000  # milliseconds without a window
_PLACED = 1000  # milliseconds in which a new window has found its place
_STEPS = 10  # of a training, until it is looked at
_LEFT = Qt.MouseButton.LeftButton
_SAVED = {
    "overlay": "overlay.png",
    "label map with legend": "label map.png",
    "one mask per target": "targets_disc.png",
    "COCO annotations": "coco.json",
}
"""What is saved of all masks of an image, by its name in napari's dialog: a file that it makes."""


def draw_box(drive: "Drive") -> None:
    """Draw a box with the mouse, and undo it."""
    segment = drive.front("Segment")
    session = segment.session
    segment.targets.target_selected.emit("disc")
    drive.click(segment, "Box")
    canvas = next(
        one for one in drive.window.findChildren(QWidget) if "CanvasBackend" in type(one).__name__
    )
    middle = canvas.rect().center()
    first, last = middle - QPoint(45, 45), middle + QPoint(45, 45)
    QTest.mousePress(canvas, _LEFT, pos=first)
    for part in range(1, 6):
        QTest.mouseMove(canvas, first + (last - first) * part / 5)
        QTest.qWait(50)
    QTest.mouseRelease(canvas, _LEFT, pos=last)
    drive.wait(lambda: session.prompts.at(session.target_key).box is not None, "A box is drawn")
    drive.wait(lambda: session.result and session.result.request.prompts.box, "The box is used")
    drive.wait(lambda: not session.queue.worker.busy, "Nothing is computed")
    drive.picture("box")
    drive.click(segment, "Undo")
    drive.wait(lambda: session.prompts.at(session.target_key).box is None, "The box is undone")


def add_target(drive: "Drive") -> None:
    """Add a target of one's own."""
    segment = drive.front("Segment")

    def fill(dialog: QWidget) -> None:
        QTest.keyClicks(dialog.findChildren(QLineEdit)[0], "drusen")
        drive.picture("new-target")
        _press(dialog, "OK")

    with _answer(fill):
        drive.click(segment, "New…")
    drive.wait(lambda: segment.session.target.name == "drusen", "The new target is chosen")
    drive.picture("new-target-chosen")
    segment.targets.target_selected.emit("disc")


def save_everything(drive: "Drive") -> None:
    """Save masks in every way, under a name without an ending."""
    folder = Path(tempfile.mkdtemp())
    segment = drive.front("Segment")
    drive.click(segment, "Accept all")
    masks = [layer for layer in drive.viewer.layers if type(layer).__name__ == "Labels"]
    masks = [layer for layer in masks if layer.data.any()]
    drive.viewer.layers.selection = {segment.session.image, *masks}
    for kind, file in _SAVED.items():

        def fill(dialog: QWidget, kind: str = kind, file: str = file) -> None:
            assert isinstance(dialog, QFileDialog)
            filters = dialog.nameFilters()
            dialog.selectNameFilter(next((one for one in filters if kind in one), ""))
            line = dialog.findChild(QLineEdit)
            line.setText(str(folder / Path(file).stem.removesuffix("_disc")))
            if kind == "overlay":
                drive.picture("save")
            QTest.keyClick(line, Qt.Key.Key_Return)

        with _answer(fill):
            drive.menu("File", "Save Selected Layers")
        drive.wait(lambda file=file: (folder / file).exists(), f"{file} is saved")
    for text, file in (("Save masks into a folder…", "_disc.png"), ("VascX…", "bounds.csv")):
        with _dialog(QFileDialog, "getExistingDirectory", str(folder)):
            drive.menu("File", text)
        drive.wait(lambda file=file: any(folder.rglob(f"*{file}")), f"{text} has saved")
    drive.viewer.layers.selection.active = segment.session.image
    drive.picture("saved")


def segment_files(drive: "Drive") -> None:
    """Segment the files of the folder."""
    segment, out = drive.front("Segment"), tempfile.mkdtemp()
    drive.press_in_view(segment, "Batch")
    panel = segment.batch_panel
    with _dialog(QFileDialog, "getExistingDirectory", out):
        drive.press_in_view(panel, "Output folder…")
    drive.press_in_view(panel, "Segment files")
    drive.wait(lambda: not segment.session.queue.worker.busy, "All files are segmented")
    drive.picture("batch")
    masks = list(Path(out).rglob("*.png"))
    if len(masks) < 3:
        raise SystemExit(f"{len(masks)} masks of the files are there.")
    drive.press_in_view(segment, "Batch")


def train(drive: "Drive") -> None:
    """Train, pause, continue, close the window, find the training in another one, stop, resume."""
    images, segment = drive.dock("Image list").images, drive.front("Segment")
    for number in range(len(images.images)):
        images.go(number)
        QTest.qWait(300)
        segment.session.set_target("disc")
        drive.wait(lambda: not segment.session.queue.worker.busy, "It is segmented")
        segment.accept_all()
        disc = next(one for one in drive.viewer.layers if one.name.endswith(" disc"))
        rows, columns = np.nonzero(disc.data)
        disc.data_setitem((rows[:40], columns[:40]), 0)  # a correction
    images.save()
    drive.open_dock("Train")
    dock = drive.front("Train")
    dock.tabs.setCurrentWidget(dock.setup_tab)
    dock.setup_tab.options.choose(target="disc", preset="quick")
    dock.settings_tab.edit(("batch",), 1)
    drive.picture("train-images")
    drive.click(dock, "Train")
    _trains(drive, dock, "train-running")
    drive.click(dock, "Pause")
    drive.wait(lambda: _is(dock, "paused"), "It pauses")
    drive.picture("train-paused")
    drive.click(dock, "Continue")
    _trains(drive, dock, "train-continued")
    run = dock.session.run
    segment.session.results.latest.clear()
    asked: list[str] = []

    def keep(box: QWidget) -> None:
        assert isinstance(box, QMessageBox)
        asked.append(box.text())
        drive.picture("closing")
        _press(box, "Keep running" if "training" in box.text().lower() else "Close")

    with _answer(keep, times=2):
        drive.window.close()
    last = _step(dock)
    QTest.qWait(_CLOSED)
    if not summarize(run).status.alive:
        raise SystemExit("The training has ended with the window.")
    drive.viewer = napari.Viewer()
    again = drive.open_dock("Train")
    drive.wait(lambda: again.session.run == run and _is(again, "running"), "It is found again")
    drive.wait(lambda: _step(again) > last, "It went on meanwhile")
    drive.picture("train-found-again")
    drive.click(again, "Pause")
    drive.wait(lambda: _is(again, "paused"), "It pauses in the other window")
    drive.click(again, "Stop, keep best")
    drive.wait(lambda: summarize(run).state == "stopped", "It stops, though it is paused")
    drive.wait(lambda: _is(again, "stopped"), "The dock says so")
    drive.picture("train-stopped")
    drive.click(again, "Resume")
    _trains(drive, again, "train-resumed")
    drive.click(again, "Stop, keep best")
    drive.wait(lambda: summarize(run).state == "stopped", "It stops again")
    again.tabs.setCurrentWidget(again.runs_tab)
    drive.picture("train-runs")


def _trains(drive: "Drive", dock: Any, picture: str) -> None:
    """Wait until some more steps are made, which the curves show."""
    drive.wait(lambda: _is(dock, "running") and _step(dock), "It trains")
    last = _step(dock) + _STEPS
    drive.wait(lambda: _step(dock) >= last, "It trains on")
    drive.picture(picture)


def _step(dock: Any) -> int:
    """Return the last step of the training that a dock follows."""
    event = dock.session.watcher.history.step
    return 0 if event is None else event.step


def two_windows(drive: "Drive") -> None:
    """Segment in two windows at once."""
    first, folder = drive.viewer, drive.images
    docks = []
    for viewer in (first, napari.Viewer()):
        viewer.open(folder, plugin="napari-sam2lora")
        drive.viewer = viewer
        docks.append(drive.open_dock("Segment"))
        QTest.qWait(_PLACED)
        drive.check_size()
    for dock in docks:
        dock.segment_all()
    for dock in docks:
        drive.wait(lambda dock=dock: len(dock.session.results.latest) == 3, "Both are segmented")
    drive.picture("two-windows")
    docks[0].accept_all()
    if docks[1].session.results.unaccepted() == []:
        raise SystemExit("Accepting in one window accepted in the other.")


def _is(dock: Any, state: str) -> bool:
    status = dock.session.watcher.status
    return status is not None and status.state == state


def _press(dialog: QWidget, text: str) -> None:
    found = (one for one in dialog.findChildren(QPushButton) if one.text().strip("&") == text)
    QTest.mouseClick(next(found), _LEFT)


@contextmanager
def _answer(fill: Callable[[QWidget], None], *, times: int = 1):
    """Answer the next dialogs, which wait for the user."""
    left = [times]

    def look() -> None:
        dialog = QApplication.activeModalWidget()
        if isinstance(dialog, QDialog) and left[0]:
            left[0] -= 1
            QTimer.singleShot(_ANSWER, look)
            fill(dialog)
        elif left[0]:
            QTimer.singleShot(_ANSWER, look)

    QTimer.singleShot(_ANSWER, look)
    yield
    QTest.qWait(100)
    left[0] = 0


@contextmanager
def _dialog(kind: type, name: str, result: str):
    """Return a result in place of asking for a file, which the system's own dialog may do."""
    before = getattr(kind, name)
    setattr(kind, name, lambda *_, **__: result)
    try:
        yield
    finally:
        setattr(kind, name, before)


def menu_action(menus: list[QMenu], text: str):
    """Return an action of a menu or of one inside it, by a part of its text."""
    for menu in menus:
        menu.aboutToShow.emit()
        for action in menu.actions():
            shown = action.text().replace("&", "")
            if action.menu() is not None:
                found = menu_action([action.menu()], text)
                if found is not None:
                    return found
            elif text in shown:
                return action
    return None


PARTS = {
    "box": draw_box,
    "target": add_target,
    "save": save_everything,
    "batch": segment_files,
    "train": train,
    "windows": two_windows,
}
"""What is driven after the images, by name; a training closes the window."""
