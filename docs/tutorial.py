"""Follow a tutorial of the documentation in a real window, and take its pictures.

    xvfb-run -a -s "-screen 0 1366x768x24" python docs/tutorial.py first-hour
    xvfb-run -a -s "-screen 0 1366x768x24" python docs/tutorial.py public-set

Each step is one of the page `docs/napari/first_hour.md` or `docs/napari/public_set.md`; one that
does not do what the page says ends the script with an error. Pictures go into `docs/images/`, and
the moving one of the first hour is `docs/images/first-hour.webp`. Images are synthetic.
"""

import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from drive_tasks import _dialog
from drive_window import PLUGIN, Drive, wait
from PIL import Image
from qtpy.QtCore import QBuffer, QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QFileDialog
from tutorial_data import draw_drive, draw_eyes

from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC
from sam2lora.images.reading import read_mask
from sam2lora.prompts.error_clicks import largest_errors

IMAGES = Path(__file__).parent / "images"
_MOVING = 1000  # pixels: width of the moving picture
_BEAT, _LOOK = 350, 1600  # milliseconds that a frame of it is shown
_LARGEST = 3_000_000  # bytes of it


class Tour(Drive):
    """A window, its pictures and frames."""

    def __init__(self, name: str) -> None:
        super().__init__(IMAGES)
        self.name = name
        self.frames: list[tuple[Image.Image, int]] = []
        self.viewer.window.show()
        screen = QApplication.primaryScreen()
        assert screen is not None
        self.window_size = screen.availableGeometry()
        self.viewer.window._qt_window.setGeometry(self.window_size)
        QTest.qWait(500)

    def grab(self) -> Image.Image:
        """Return what the screen shows."""
        screen = QApplication.primaryScreen()
        assert screen is not None
        buffer = QBuffer()
        buffer.open(QBuffer.OpenModeFlag.ReadWrite)
        screen.grabWindow(0).save(buffer, "PNG")
        return Image.open(io.BytesIO(bytes(buffer.data().data()))).convert("RGB")

    def picture(self, name: str) -> None:
        """Write a picture of the screen, once napari has drawn."""
        QTest.qWait(800)
        self.pictures += 1
        self.grab().save(IMAGES / f"{self.name}-{name}.webp", quality=88, method=6)

    def frame(self, milliseconds: int = _BEAT) -> None:
        """Keep a frame of the moving picture."""
        QTest.qWait(150)
        shown = self.grab()
        small = shown.resize((_MOVING, round(_MOVING * shown.height / shown.width)))
        self.frames.append((small, milliseconds))

    def write_moving(self) -> None:
        """Write the moving picture, as good as its limit allows."""
        first, *others = [frame for frame, _ in self.frames]
        path = IMAGES / f"{self.name}.webp"
        for quality in (80, 65, 50, 35):
            first.save(
                path,
                save_all=True,
                append_images=others,
                duration=[milliseconds for _, milliseconds in self.frames],
                loop=0,
                quality=quality,
                method=6,
            )
            if path.stat().st_size < _LARGEST:
                return
        raise SystemExit(f"{path}: has {path.stat().st_size} bytes.")

    def press(self, key: Qt.Key) -> None:
        """Press a key, with the focus where a user's is: on the canvas."""
        self.canvas.setFocus()
        self.key(key)

    @property
    def canvas(self):
        """Where napari draws."""
        return self.viewer.window._qt_viewer.canvas.native

    def zoom_to(self, row: float, column: float, across: float) -> None:
        """Show a part of the image, `across` pixels high."""
        camera = self.viewer.scene.camera
        camera.center, camera.zoom = (0, row, column), self.canvas.height() / across
        QTest.qWait(300)

    def click_image(self, row: float, column: float) -> None:
        """Click a pixel of the image."""
        camera = self.viewer.scene.camera
        down, right = (np.array([row, column]) - camera.center[-2:]) * camera.zoom
        middle = self.canvas.rect().center()
        spot = QPoint(middle.x() + round(right), middle.y() + round(down))
        QTest.mouseClick(self.canvas, Qt.MouseButton.LeftButton, pos=spot)
        self.clicks += 1

    def settle(self) -> None:
        """Wait until nothing is computed."""
        session = self.dock("Segment").session
        QTest.qWait(200)
        wait(lambda: not session.queue.worker.busy, "Nothing is computed")
        QTest.qWait(300)


def segment(tour: Tour, eyes: Path) -> None:
    """Open a folder of images, and segment the first one."""
    tour.viewer.open(eyes, plugin=PLUGIN)
    tour.picture("opened")
    tour.click(tour.dock("Image list"), "Segment…")
    QTest.qWait(500)
    dock = tour.dock("Segment")
    tour.frame(_LOOK)
    tour.click(dock, "Segment all")
    wait(lambda: len(dock.session.results.latest) == 3, "Vessels, disc and cup are found")
    tour.settle()
    tour.picture("segmented")
    tour.frame(_LOOK)


def correct(tour: Tour, eyes: Path) -> None:
    """Correct the cup with clicks, where its exact mask says that it errs, and accept."""
    dock = tour.dock("Segment")
    session = dock.session
    dock.targets.target_selected.emit("cup")
    exact = read_mask(eyes / "masks" / "cup" / f"{session.image.name}.png")
    rows, columns = exact.nonzero()
    tour.zoom_to(rows.mean(), columns.mean(), 4 * (rows.max() - rows.min()))
    tour.picture("cup")
    tour.frame(_LOOK)
    for _ in range(3):
        shown = session.results.mask(session.target_key)
        errors = largest_errors(shown, exact, 1)
        if not errors:
            break
        spot, before = errors[0].click(), session.result
        tour.press(Qt.Key.Key_U)
        if session.prompts.positive != spot.positive:
            tour.press(Qt.Key.Key_Q)
        tour.click_image(spot.y, spot.x)
        wait(lambda before=before: session.result is not before, "The click changes the cup")
        tour.settle()
        tour.frame(900)
    tour.picture("corrected")
    tour.viewer.fit_to_view()
    tour.click(dock, "Accept all")
    tour.settle()
    tour.picture("accepted")
    tour.frame(_LOOK)


def adapt(tour: Tour, folder: Path | None) -> Path:
    """Train vessels by Quick adapt, on masks of a further folder, too; return the run."""
    tour.open_dock("Train")
    dock = tour.front("Train")
    dock.tabs.setCurrentWidget(dock.setup_tab)
    dock.setup_tab.options.choose(target="vessel", preset="quick")
    if folder is not None:
        with _dialog(QFileDialog, "getExistingDirectory", str(folder)):
            tour.press_in_view(dock, "Folder…")
    QTest.qWait(1500)
    tour.picture("train")
    tour.frame(_LOOK)
    tour.click(dock, "Train")
    watcher = dock.session.watcher
    ended = ("finished", "stopped", "failed")
    while watcher.status is None or watcher.status.state not in ended:
        QTest.qWait(5000)
        tour.frame(250)
    if watcher.status.state == "failed":
        raise SystemExit(f"The training failed: {watcher.status.message}")
    QTest.qWait(2000)
    tour.picture("progress")
    tour.frame(_LOOK)
    return dock.session.run


def compare(tour: Tour, models: list[str], reference: str | None) -> None:
    """Compare models from the same prompts; those that are proposed, if none is named."""
    dock = tour.front("Segment")
    tour.press_in_view(dock, "Compare models")
    panel = dock.comparison_panel
    panel.lists_requested.emit()
    for box, model in zip(panel.models, models, strict=False):
        number = next(n for n in range(box.count()) if str(box.itemData(n)) == model)
        box.setCurrentIndex(number)
    if reference is not None:
        panel.reference.setCurrentIndex(panel.reference.findText(reference))
    tour.press_in_view(panel, "Compare")
    wait(lambda: bool(panel.results.text()), "The models are compared")
    tour.settle()
    tour.viewer.fit_to_view()
    tour.picture("compared")
    tour.frame(2 * _LOOK)


def first_hour(tour: Tour) -> None:
    """Open, segment, correct, adapt, compare, measure."""
    eyes = draw_eyes(Path(tempfile.mkdtemp()))
    segment(tour, eyes / "my-eyes")
    correct(tour, eyes / "drawn")
    run = adapt(tour, eyes / "drawn")
    image = tour.viewer.open(eyes / "new", plugin=PLUGIN)[0]
    session = tour.front("Segment").session
    session.set_target("vessel", image=image)
    tour.viewer.layers.selection.active = image
    compare(tour, [AUTOMATIC, run.name], f"{image.name} vessel")
    tour.write_moving()


def public_set(tour: Tour) -> None:
    """Open a set in DRIVE's layout, compare the adapter with the grader, train on its half."""
    drive = draw_drive(Path(tempfile.mkdtemp()))
    tour.viewer.open(drive / "training", plugin=PLUGIN)
    tour.picture("opened")
    tour.click(tour.dock("Image list"), "Segment…")
    QTest.qWait(500)
    session = tour.dock("Segment").session
    session.set_target("vessel")
    reference = next(one.name for one in tour.viewer.layers if one.name.endswith("vessel"))
    compare(tour, [], reference)
    adapt(tour, None)


TOURS: dict[str, Callable[[Tour], None]] = {"first-hour": first_hour, "public-set": public_set}


def main(name: str) -> None:
    tour, failed = Tour(name), 0
    try:
        TOURS[name](tour)
        sys.stdout.write(f"{tour.pictures} pictures in {IMAGES}\n")
    except SystemExit as error:
        failed = 1
        tour.grab().save(Path(tempfile.gettempdir()) / f"{name}-failed.png")
        sys.stdout.write(f"{error}\n")
    sys.stdout.flush()
    os._exit(failed)  # without the questions of a window that closes


if __name__ == "__main__":
    main(sys.argv[1])
