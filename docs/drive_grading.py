"""Grade ten images by two names in the window, one of them killed in the middle, then decide.

    xvfb-run -a -s "-screen 0 1366x768x24" python docs/drive_grading.py FOLDER

FOLDER gets pictures of the window, and the session with what came out of it. Each person has a
process of their own; the first one is killed (signal 9) while a stroke is not saved, and goes on
with it in another process. The images are synthetic. A step that does not do what it should ends
the script with an error; what it looks like is for you to see.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from drive_tasks import _answer, _dialog, _press
from drive_window import Drive, wait
from napari.settings import get_settings
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog

from sam2lora.grading import GradingSession, SessionGrader, list_sources
from sam2lora.synthetic import SyntheticSettings, draw_fundus

_IMAGES, _SIDE = 10, 512
_KILLED_AT = 4  # images that are done before
_DECIDED = 6  # targets that the third person decides on; of the others, anna's are taken
_UNSAVED = 1500  # milliseconds from a stroke to the kill
_TRAINING = 1800  # seconds in which a training ends, also on a busy machine
_ALT = Qt.KeyboardModifier.AltModifier
_LEFT = Qt.MouseButton.LeftButton
_MOVES = 8  # of the mouse in a stroke


class Grading:
    """One person at the window."""

    def __init__(self, folder: Path, name: str) -> None:
        get_settings().appearance.theme = "dark"
        self.folder, self.name = folder, name
        self.drive = Drive(folder / "pictures" / name)
        self.viewer = self.drive.viewer
        self.viewer.window.show()
        self.dock = self.drive.open_dock("Grade")
        self.dock.opener.open(folder / "trial")
        self.canvas = self.viewer.window._qt_viewer.canvas.native

    def start(self, button: str = "Start") -> None:
        """Type the name, and press the button."""
        line = self.dock.start_panel.name.lineEdit()
        line.setText("")
        QTest.keyClicks(line, self.name)
        self.picture("start")
        self.drive.click(self.dock, button)
        QTest.qWait(1000)

    def open_segment(self) -> None:
        """Open the Segment dock beside this one."""
        self.drive.click(self.dock, "Segment…")
        QTest.qWait(1000)
        self.segment = self.drive.dock("Segment")
        self.drive.front("Grade")

    def picture(self, name: str) -> None:
        """Take a picture of the window."""
        self.drive.picture(name)

    def predict(self, target: str) -> None:
        """Predict a target and accept it, by keys on the canvas."""
        session = self.segment.session
        session.set_target(target)
        self.viewer.layers.selection.active = session.image
        self.canvas.setFocus()
        self.drive.key(Qt.Key.Key_G)
        key = session.target_key
        wait(lambda: key in session.results.latest, f"{target} of {self.dock.work.stem}")
        wait(lambda: not session.queue.worker.busy, "Nothing is computed")
        self.segment.accept()

    def stroke(self, down: int) -> None:
        """Paint a stroke below the center of the disc with the mouse."""
        layer = next(one for one in self.dock.work.shown.mask_layers() if " disc" in one.name)
        self.viewer.layers.selection.active = layer
        layer.mode, layer.brush_size = "paint", 8
        QTest.qWait(200)
        rows, columns = np.nonzero(layer.data)
        row, column = (rows.max() + down, columns.mean()) if len(rows) else (250, 250)
        first, last = self.place(layer, row, column - 12), self.place(layer, row, column + 12)
        before = layer.data.copy()
        for near in (first + QPoint(3, 3), first):
            QTest.mouseMove(self.canvas, near)
            QTest.qWait(100)
        QTest.mousePress(self.canvas, _LEFT, pos=first)
        for step in range(1, _MOVES + 1):
            QTest.mouseMove(self.canvas, first + (last - first) * step / _MOVES)
            QTest.qWait(30)
        QTest.mouseRelease(self.canvas, _LEFT, pos=last)
        QTest.qWait(100)
        if np.array_equal(before, layer.data):
            raise SystemExit("The stroke paints nothing.")

    def place(self, layer, row: float, column: float) -> QPoint:
        """Return where a pixel is on the canvas."""
        camera = self.viewer.scene.camera
        away = np.array(layer.data_to_world((row, column))) - camera.center[-2:]
        down, right = away * camera.zoom
        middle = self.canvas.rect().center()
        return QPoint(middle.x() + round(right), middle.y() + round(down))

    def grade(self, *, down: int, stop_after: int | None = None) -> None:
        """Grade the images that are left, the last of them as partly gradable, with a comment."""
        while True:
            work, stem = self.dock.work, self.dock.work.stem
            done = sum(work.grader.grade(one).done for one in work.stems)
            for target in ("disc", "cup"):
                if not work.grader.corrections.has(stem, target):
                    self.predict(target)
            if stop_after is not None and done == stop_after:
                self.stroke(down)
                return
            self.stroke(down)
            last = done == _IMAGES - 1
            self.drive.key(Qt.Key.Key_2 if last else Qt.Key.Key_1, _ALT)
            if last:
                self.drive.key(Qt.Key.Key_M, _ALT)
                QTest.keyClicks(self.dock.panel.comment, "a shadow over the disc")
            if done in (1, _IMAGES - 1):
                self.picture(f"image-{done + 1}")
            self.drive.key(Qt.Key.Key_D, _ALT)
            QTest.qWait(300)
            if work.grader.grade(stem).state != "done":
                raise SystemExit(f"{stem} is not done.")
            if last:
                return


def first_part(folder: Path) -> None:
    """Grade four images as anna, and get killed on the fifth."""
    one = Grading(folder, "anna")
    one.start()
    one.open_segment()
    one.grade(down=3, stop_after=_KILLED_AT)
    one.picture("before-the-kill")
    QTest.qWait(_UNSAVED)
    os.kill(os.getpid(), signal.SIGKILL)


def second_part(folder: Path) -> None:
    """Bring back what was not saved, and finish."""
    one = Grading(folder, "anna")

    def agree(dialog) -> None:
        one.picture("offered")
        _press(dialog, "Bring back")

    with _answer(agree):
        one.start()
    layer = next(mask for mask in one.dock.work.shown.mask_layers() if " disc" in mask.name)
    painted = int((layer.data > 0).sum())
    layer.undo()
    if int((layer.data > 0).sum()) >= painted:
        raise SystemExit("The stroke from before the kill cannot be undone.")
    layer.redo()
    one.picture("brought-back")
    one.open_segment()
    one.grade(down=3)
    with _dialog(QFileDialog, "getExistingDirectory", str(folder / "export")):
        one.drive.click(one.dock, "Export…")
    wait(lambda: (folder / "export" / "dataset" / "dataset.csv").exists(), "It is exported")
    one.picture("exported")


def other_grader(folder: Path) -> None:
    """Grade all images as ben, who paints elsewhere."""
    one = Grading(folder, "ben")
    one.start()
    one.open_segment()
    one.grade(down=10)


def adjudicator(folder: Path) -> None:
    """Compare both, decide between them, paint one mask, and write the consensus."""
    one = Grading(folder, "cleo")

    def agree(dialog) -> None:
        one.picture("adjudicator")
        _press(dialog, "Open the review")

    with _answer(agree):
        one.start("Review")
    table, panel = one.dock.review_panel.table, one.dock.review_panel
    wait(lambda: table.rowCount() == 2 * _IMAGES, "Both are compared")
    for number in range(_DECIDED):
        item = table.item(number, 0)
        table.scrollToItem(item)
        QTest.qWait(50)
        place = table.visualItemRect(item).center()
        QTest.mouseClick(table.viewport(), _LEFT, pos=place)
        QTest.qWait(200)
        panel.take.setCurrentText("anna" if number % 2 else "ben")
        if number == 0:
            one.picture("difference")
            one.drive.click(one.dock, "Edit")
            one.picture("painting")
        one.drive.click(one.dock, "Take")
    one.picture("decided")
    panel.otherwise.setCurrentText("else anna")
    with _dialog(QFileDialog, "getExistingDirectory", str(folder)):
        one.drive.click(one.dock, "Consensus…")
    wait(lambda: (folder / "trial consensus" / "dataset.csv").exists(), "It is written")
    with _dialog(QFileDialog, "getExistingDirectory", str(folder / "agreement")):
        one.drive.click(one.dock, "Report…")
    one.picture("consensus")


def trainer(folder: Path) -> None:
    """Train on what anna did, while she looks at it."""
    one = Grading(folder, "anna")
    one.start()
    one.drive.press_in_view(one.dock, "Train while labelling")
    panel = one.dock.training_panel
    panel.target.setCurrentText("disc")
    panel.switch.click()
    training = one.dock.training
    wait(lambda: training.session.alive, "A training runs")
    one.picture("training")
    session = training.session
    wait(lambda: not session.alive and not session.busy, "It has ended", seconds=_TRAINING)
    QTest.qWait(2000)
    one.picture("trained")
    sys.stdout.write(f"{panel.message.text()}\n")


PARTS = {
    "first": first_part,
    "second": second_part,
    "other": other_grader,
    "adjudicator": adjudicator,
    "trainer": trainer,
}
"""What each process does; the first one is killed."""


def draw_session(folder: Path) -> None:
    """Create a session of drawn images."""
    (folder / "images").mkdir(parents=True)
    for number in range(1, _IMAGES + 1):
        drawn = draw_fundus(number + 40, SyntheticSettings(size=_SIDE))
        Image.fromarray(drawn.image).save(folder / "images" / f"eye {number:02}.png")
    GradingSession.create(folder / "trial", list_sources([folder / "images"]))


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    if len(sys.argv) == 3:
        code = 0
        try:
            PARTS[sys.argv[2]](folder)
        except SystemExit as error:
            code = 1
            screen = QApplication.primaryScreen()
            if screen is not None:
                screen.grabWindow(0).save(str(folder / "failed.png"))
            sys.stdout.write(f"{sys.argv[2]}: {error}\n")
        sys.stdout.flush()
        os._exit(code)  # without the questions of a window that closes
    draw_session(folder)
    for name in PARTS:
        start = time.monotonic()
        code = subprocess.run([sys.executable, __file__, str(folder), name], check=False).returncode
        sys.stdout.write(f"{name}: exit code {code} after {time.monotonic() - start:.0f} s\n")
        sys.stdout.flush()
        if code != (-signal.SIGKILL if name == "first" else 0):
            raise SystemExit(1)
    with SessionGrader(GradingSession.open(folder / "trial"), "anna", read_only=True) as anna:
        minutes = sum(grade.seconds for grade in anna.grades.values()) / 60
        sys.stdout.write(f"anna: {len(anna.grades)} images, {minutes:.1f} minutes\n")


if __name__ == "__main__":
    main()
