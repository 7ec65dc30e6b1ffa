"""Drive the window with mouse and keys, count them, and take a picture after each step.

    python docs/drive_window.py FOLDER [light|dark [PART ...]]

Without a screen, on Linux, on a laptop's screen and on a large one, each with a window manager:

    xvfb-run -a -s "-screen 0 1366x768x24" python docs/drive_window.py pictures/small dark
    QT_SCALE_FACTOR=2 xvfb-run -a -s "-screen 0 3840x2160x24" python docs/drive_window.py \
        pictures/large light

The images are synthetic. A step that does not do what it should ends the script with an error; what
it looks like is for you to see.
"""

import faulthandler
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
os.environ["SAM2LORA_CORRECTIONS"] = tempfile.mkdtemp()
os.environ["SAM2LORA_RUNS"] = tempfile.mkdtemp()
os.environ["SAM2LORA_ADAPTERS"] = tempfile.mkdtemp()
os.environ["SAM2LORA_CONFIG"] = tempfile.mkdtemp()

import drive_tasks
import napari
from napari.settings import get_settings
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractButton, QApplication, QMainWindow, QScrollArea, QWidget

from napari_sam2lora.qt.dock import Dock, main_window
from sam2lora.synthetic import SyntheticSettings, draw_fundus

PLUGIN = "napari-sam2lora"
_PATIENCE = 300  # seconds for a result
_DRAWN = 500  # milliseconds in which napari draws
_COUNT = 3  # images


class Drive:
    """A window, what was pressed in it, and where its pictures go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clicks = self.keys = self.pictures = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.viewer = napari.Viewer()
        self.images = draw_folder(Path(tempfile.mkdtemp()) / "my eyes")
        self.wait = wait

    def picture(self, name: str) -> None:
        """Take a picture of the whole screen, once napari has drawn."""
        QTest.qWait(_DRAWN)
        screen = QApplication.primaryScreen()
        assert screen is not None
        self.pictures += 1
        screen.grabWindow(0).save(str(self.folder / f"{self.pictures:02}-{name}.png"))

    def click(self, dock: QWidget, text: str) -> None:
        """Click a button of a dock, which must be in view."""
        (button,) = (one for one in dock.findChildren(QAbstractButton) if one.text() == text)
        if button.visibleRegion().isEmpty():
            raise SystemExit(f"{text}: is not in view.")
        place = QPoint(8, button.height() // 2)  # of a check box, beside its text nothing is hit
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)
        self.clicks += 1

    def press_in_view(self, dock: QWidget, text: str) -> None:
        """Scroll to a button, and click it."""
        QTest.qWait(_DRAWN)  # a part that was just opened has no size yet
        (button,) = (one for one in dock.findChildren(QAbstractButton) if one.text() == text)
        around = button.parentWidget()
        while around is not None:
            if isinstance(around, QScrollArea):
                around.ensureWidgetVisible(button)
            around = around.parentWidget()
        QTest.qWait(100)
        self.click(dock, text)

    def menu(self, name: str, text: str) -> None:
        """Choose an entry of a menu."""
        bar = self.window.menuBar()
        assert bar is not None
        menus = [one.menu() for one in bar.actions() if one.text().replace("&", "") == name]
        action = drive_tasks.menu_action(menus, text)
        if action is None:
            raise SystemExit(f"{text}: is not in the menu {name}.")
        action.trigger()
        self.clicks += 2

    def key(self, key: Qt.Key, modifier: Qt.KeyboardModifier | None = None) -> None:
        """Press a key where the focus is."""
        pressed = Qt.KeyboardModifier.NoModifier if modifier is None else modifier
        QTest.keyClick(QApplication.focusWidget() or self.window, key, pressed)
        self.keys += 1
        QTest.qWait(50)

    def open_dock(self, name: str) -> Dock:
        """Open a dock as its menu entry does."""
        _, dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, name)
        QTest.qWait(_DRAWN)
        return dock

    def dock(self, name: str) -> Dock:
        """Return an open dock."""
        docks = self.viewer.window.dock_widgets.items()
        return next(dock for title, dock in docks if title.startswith(name))

    def front(self, name: str) -> Dock:
        """Bring an open dock to the front, as a click on its tab does."""
        dock = self.dock(name)
        frame = dock.parentWidget()
        assert frame is not None
        frame.raise_()
        QTest.qWait(100)
        return dock

    @property
    def window(self) -> QMainWindow:
        """The main window."""
        docks = self.viewer.window.dock_widgets.values()
        window = next(filter(None, (main_window(one) for one in docks)), None)
        assert window is not None
        return window

    def check_size(self) -> None:
        """Check that the window lies on the screen."""
        screen = QApplication.primaryScreen()
        assert screen is not None
        room, frame = screen.availableGeometry(), self.window.frameGeometry()
        if not room.contains(frame):
            raise SystemExit(f"The window is at {frame}, the screen {room}.")


def wait(condition: Callable[[], bool], what: str, *, seconds: float = _PATIENCE) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: this did not happen.")
        QTest.qWait(50)


def draw_folder(folder: Path) -> Path:
    """Draw photographs without masks."""
    folder.mkdir(parents=True)
    for number in range(1, _COUNT + 1):
        drawn = draw_fundus(number + 40, SyntheticSettings(size=512))
        Image.fromarray(drawn.image).save(folder / f"eye {number:02}.png")
    return folder


def go_through_images(drive: Drive) -> None:
    """Segment on opening, accept all, and go on by one key for each image."""
    images = drive.dock("Image list")
    drive.click(images, "Segment…")
    QTest.qWait(_DRAWN)
    segment = drive.dock("Segment")
    drive.check_size()
    drive.picture("segment")
    drive.click(segment, "Segment on opening")
    session = segment.session
    wait(lambda: len(session.results.unaccepted()) == 3, "The first image is segmented")
    drive.picture("segmented")
    drive.click(segment, "Accept all")
    drive.picture("accepted")
    sys.stdout.write(f"First image: {drive.clicks} clicks, {drive.keys} keys\n")
    drive.key(Qt.Key.Key_D)
    for number in range(1, _COUNT - 1):
        wait(lambda: len(session.results.unaccepted()) == 3, "The next image is segmented")
        wait(lambda: not session.queue.worker.busy, "The one after it is segmented ahead")
        drive.picture(f"image-{number + 1}")
        before, pressed = drive.keys, drive.clicks
        drive.key(Qt.Key.Key_D)
        wait(lambda number=number: images.images.current == number + 1, "The next image is shown")
        sys.stdout.write(
            f"Image {number + 1}: {drive.clicks - pressed} clicks, {drive.keys - before} key\n"
        )


def keep_results(drive: Drive) -> None:
    """Leave an image with a result that was not accepted, and come back."""
    segment = drive.dock("Segment")
    wait(lambda: not segment.session.queue.worker.busy, "Everything is segmented")
    before = len(segment.session.results.unaccepted())
    control = Qt.KeyboardModifier.ControlModifier
    drive.key(Qt.Key.Key_PageUp, control)
    QTest.qWait(_DRAWN)
    drive.key(Qt.Key.Key_PageDown, control)
    wait(lambda: len(segment.session.results.unaccepted()) == before, "The results are back")
    drive.picture("back-again")


def show_docks(drive: Drive) -> None:
    """Open every other dock, and look at its parts."""
    train = drive.open_dock("Train")
    drive.picture("train")
    for number in range(1, train.tabs.count()):
        train.tabs.setCurrentIndex(number)
        drive.picture(f"train-{train.tabs.tabText(number).lower()}")
    for name in ("Evaluate", "Measurements"):
        drive.open_dock(name)
        drive.picture(name.lower())
    drive.check_size()


PARTS: dict[str, Callable[[Drive], None]] = {
    "images": go_through_images,
    "results": keep_results,
    "docks": show_docks,
    **drive_tasks.PARTS,
}
"""What is driven, by name; the results are those of the images."""


def main() -> None:
    faulthandler.enable()
    folder, theme, *parts = [*sys.argv[1:], "dark"] if len(sys.argv) == 2 else sys.argv[1:]
    get_settings().appearance.theme = theme
    drive = Drive(Path(folder))
    drive.viewer.open(drive.images, plugin=PLUGIN)
    drive.picture("opened")
    drive.check_size()
    failed = 0
    try:
        for part in parts or PARTS:
            PARTS[part](drive)
        sys.stdout.write(f"{drive.pictures} pictures in {folder}\n")
    except SystemExit as error:
        failed = 1
        drive.picture("failed")
        sys.stdout.write(f"{error}\n")
    sys.stdout.flush()
    os._exit(failed)  # without the questions of a window that closes


if __name__ == "__main__":
    main()
