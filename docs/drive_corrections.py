"""Correct real predictions in the window with mouse and keys, three times for each target.

    xvfb-run -a -s "-screen 0 1366x768x24" python docs/drive_corrections.py DATA FOLDER [TARGET ...]

DATA holds the public datasets DRIVE, Drishti-GS1_files and ellipses (with CHASEDB1 and HRF) in
their official layouts; their test images are corrected. FOLDER gets a picture of the window before
and after each correction. The reference masks say where a user would click, and are not shown. A
step after which the prediction is not as it should be ends the script with an error; what it looks
like is for you to see.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from drive_window import PLUGIN, Drive, wait
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from scipy import ndimage

from sam2lora.datasets import Record, official_split, read_dataset
from sam2lora.prompts.error_clicks import ErrorRegion, largest_errors
from sam2lora.types import Mask

_LEFT = Qt.MouseButton.LeftButton
_VIEW = {"vessel": 220, "disc": 110, "cup": 90}  # pixels across, of an image of 565
_IN_PLACE = 1.5  # pixels: a handle that is this near is left alone
_MOVES = 8  # of the mouse in a drag


class Correction:
    """One image in the window, with the reference that says where it errs."""

    def __init__(self, drive: Drive, record: Record, target: str) -> None:
        self.drive, self.target = drive, target
        self.reference = record.read_mask(target)
        file = Path(tempfile.mkdtemp()) / record.image.name  # apart from its masks
        shutil.copy(record.image, file)
        (self.image,) = drive.viewer.open(file, plugin=PLUGIN)
        self.dock = drive.dock("Segment")
        self.session = self.dock.session
        self.session.set_target(target, image=self.image)
        drive.viewer.layers.selection.active = self.image
        self.canvas = drive.viewer.window._qt_viewer.canvas.native
        drive.key(Qt.Key.Key_G)
        wait(lambda: self.session.result is not None, f"{target} is segmented")
        self.settle()

    @property
    def mask(self) -> Mask:
        """What is shown."""
        return self.session.results.mask(self.session.target_key)

    @property
    def values(self):
        """The probabilities that are shown."""
        return self.session.result.prediction.probabilities.copy()

    def dice(self) -> float:
        """Return the Dice coefficient of what is shown."""
        both = (self.mask & self.reference).sum()
        return float(2 * both / (self.mask.sum() + self.reference.sum()))

    def error(self, *, missed: bool, longest: bool = False) -> ErrorRegion:
        """Return the largest error of a kind, or the one that reaches farthest from the mask."""
        field = self.session.result.prepared.field.mask
        found = largest_errors(self.mask, self.reference, 30, valid=field)
        kind = [one for one in found if one.missed == missed]
        if not kind:
            raise SystemExit(f"{self.target}: nothing is {'missed' if missed else 'false'}.")
        return max(kind, key=lambda one: self.far_end(one)[2]) if longest else kind[0]

    def far_end(self, region: ErrorRegion) -> tuple[int, int, float]:
        """Return row and column of the region's pixel farthest from the mask, and how far it is."""
        away = ndimage.distance_transform_edt(~self.mask)[region.rows, region.columns]
        row, column = np.unravel_index(np.where(region.mask, away, -1).argmax(), away.shape)
        return row + region.rows.start, column + region.columns.start, float(away[row, column])

    def look_at(self, row: float, column: float) -> None:
        """Show a part of the image."""
        camera = self.drive.viewer.scene.camera
        camera.center = (0, *self.image.data_to_world((row, column)))
        across = _VIEW[self.target] * max(self.image.data.shape[:2]) / 565
        camera.zoom = self.canvas.height() / across / self.image.scale[-1]
        QTest.qWait(200)

    def place(self, row: float, column: float) -> QPoint:
        """Return where a pixel is on the canvas."""
        camera = self.drive.viewer.scene.camera
        away = np.array(self.image.data_to_world((row, column))) - camera.center[-2:]
        down, right = away * camera.zoom
        middle = self.canvas.rect().center()
        return QPoint(middle.x() + round(right), middle.y() + round(down))

    def click(self, row: float, column: float) -> None:
        """Click a pixel, and wait for the new prediction."""
        before = self.session.result
        QTest.mouseClick(self.canvas, _LEFT, pos=self.place(row, column))
        wait(lambda: self.session.result is not before, "The click changes the prediction")
        self.settle()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Drag from one pixel to another, and wait for the new prediction."""
        first, last, before = self.place(*start), self.place(*end), self.session.result
        QTest.mouseMove(self.canvas, first)
        QTest.mousePress(self.canvas, _LEFT, pos=first)
        for step in range(1, _MOVES + 1):
            QTest.mouseMove(self.canvas, first + (last - first) * step / _MOVES)
            QTest.qWait(30)
        QTest.mouseRelease(self.canvas, _LEFT, pos=last)
        wait(lambda: self.session.result is not before, "The drag changes the prediction")
        self.settle()

    def tool(self, key: Qt.Key, *, positive: bool = True) -> None:
        """Choose a tool by its key, and its sign by Q."""
        self.drive.key(key)
        if self.session.prompts.positive != positive:
            self.drive.key(Qt.Key.Key_Q)
        self.settle()

    def note(self, name: str, before: float) -> None:
        """Take a picture, and print what a correction brought."""
        self.drive.picture(f"{self.target}-{name}")
        sys.stdout.write(f"{self.target} {name}: Dice {before:.4f} → {self.dice():.4f}\n")
        sys.stdout.flush()

    def settle(self) -> None:
        """Wait until nothing is computed and the window is drawn."""
        QTest.qWait(100)
        wait(lambda: not self.session.queue.worker.busy, "Nothing is computed")
        QTest.qWait(100)


def correct_vessel(one: Correction) -> None:
    """Click a missed piece, add a branch from its far end, and click a false piece away."""
    for name, key, missed in (
        ("point", Qt.Key.Key_U, True),
        ("branch", Qt.Key.Key_B, True),
        ("off", Qt.Key.Key_U, False),
    ):
        region = one.error(missed=missed, longest=name == "branch")
        spot = region.click()
        row, column = spot.y, spot.x
        if name == "branch":
            row, column, _ = one.far_end(region)
        one.look_at(row, column)
        before = one.dice()
        one.tool(key, positive=missed)
        one.drive.picture(f"vessel-before-{name}")
        one.click(row, column)
        if one.mask[round(row), round(column)] != missed:
            raise SystemExit(f"vessel: the click at row {row}, column {column} is not obeyed.")
        one.note(name, before)


def correct_disc(one: Correction) -> None:
    """Drag the outline to its place, and two of its handles."""
    rows, columns = np.nonzero(one.reference)
    top, left, bottom, right = rows.min(), columns.min(), rows.max(), columns.max()
    one.look_at((top + bottom) / 2, (left + right) / 2)
    before = one.dice()
    one.drive.picture("disc-before")
    one.tool(Qt.Key.Key_O)
    one.note("outline", before)
    shapes = one.drive.viewer.layers.selection.active
    wanted = (top + bottom) / 2, (left + right) / 2
    before = one.dice()
    one.drag(tuple(shapes.data[0].mean(axis=0)), wanted)
    one.note("moved", before)
    for name, axis in (("first-handle", 1), ("second-handle", 0)):
        before, box = one.dice(), shapes.data[0]
        center = box.mean(axis=0)
        handle = (box[1] + box[2]) / 2 if axis else (box[2] + box[3]) / 2
        way = (handle - center) / np.linalg.norm(handle - center)
        reach = max(np.abs((np.argwhere(one.reference) - center) @ way))
        if abs(reach - np.linalg.norm(handle - center)) < _IN_PLACE:
            continue
        one.drag(tuple(handle), tuple(center + way * reach))
        one.note(name, before)


def correct_cup(one: Correction) -> None:
    """Click in the middle of the largest error, three times."""
    rows, columns = np.nonzero(one.reference)
    one.look_at(rows.mean(), columns.mean())
    one.drive.picture("cup-before")
    for number in range(1, 4):
        field = one.session.result.prepared.field.mask
        spot = largest_errors(one.mask, one.reference, 1, valid=field)[0].click()
        before = one.dice()
        one.tool(Qt.Key.Key_U, positive=spot.positive)
        one.click(spot.y, spot.x)
        one.note(f"click-{number}", before)


CORRECT: dict[str, Callable[[Correction], None]] = {
    "vessel": correct_vessel,
    "disc": correct_disc,
    "cup": correct_cup,
}


def test_image(data: Path, target: str) -> Record:
    """Return an image that nobody trained on."""
    if target == "vessel":
        return official_split(read_dataset(data / "DRIVE", target=target).records, "test")[0]
    if target == "disc":
        return read_dataset(data / "ellipses" / "test.csv", target=target).records[0]
    return read_dataset(data / "Drishti-GS1_files", target=target).records[-1]


def main() -> None:
    data, folder, *targets = sys.argv[1:]
    drive = Drive(Path(folder))
    drive.viewer.window.show()
    drive.open_dock("Segment")
    failed = 0
    try:
        for target in targets or CORRECT:
            one = Correction(drive, test_image(Path(data), target), target)
            first, steps = one.values, len(one.session.prompts.at(one.session.target_key).points)
            CORRECT[target](one)
            session = one.session
            while not session.prompts.at(session.target_key).empty:
                before = session.result
                drive.click(one.dock, "Undo")
                wait(lambda s=session, b=before: s.result is not b, "It is undone")
                one.settle()
                steps += 1
            if not np.array_equal(one.values, first):
                raise SystemExit(f"{target}: undo does not give back the first prediction.")
            drive.picture(f"{target}-undone")
            sys.stdout.write(f"{target}: {steps} steps undone, the first prediction is back\n")
    except SystemExit as error:
        failed = 1
        drive.picture("failed")
        sys.stdout.write(f"{error}\n")
    sys.stdout.flush()
    os._exit(failed)  # without the questions of a window that closes


if __name__ == "__main__":
    main()
