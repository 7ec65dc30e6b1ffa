"""Create the screenshots of napari for the documentation.

    python docs/make_screenshots.py [NAME ...]

A real window opens for each picture. Without a screen, on Linux:

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py

Only synthetic images are shown: the public datasets may not be redistributed.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

# The user's own settings and corrections stay untouched, and do not show in the pictures.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")
os.environ["SAM2LORA_CORRECTIONS"] = tempfile.mkdtemp()

import napari
import numpy as np
import screenshots_train
from napari.layers import Layer
from npe2 import PluginManager
from PIL import Image
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QCheckBox

from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.points import LocatedPoint, point_layer
from napari_sam2lora.qt.widgets import Section
from napari_sam2lora.segmentation.dock import SegmentDock
from napari_sam2lora.segmentation.widgets.model_panel import AUTOMATIC, NO_ADAPTER
from sam2lora.synthetic import SyntheticSettings, draw_fundus
from sam2lora.synthetic.fundus import locate_fovea
from sam2lora.targets import FOVEA

PLUGIN = "napari-sam2lora"
IMAGES = Path(__file__).parent / "images"
WINDOW = (1200, 780)
REFERENCE: dict[str, np.ndarray] = {}
"""The exact masks of the image, by target."""


def open_image(viewer: napari.Viewer) -> None:
    """Show an image with its masks, as it opens."""
    viewer.open_sample(PLUGIN, "healthy")
    viewer.layers.selection.active = viewer.layers[0]


def views(viewer: napari.Viewer) -> None:
    """Show an image with its field of view outlined, next to its green channel."""
    viewer.open_sample(PLUGIN, "healthy")
    image, *masks = viewer.layers
    for mask in masks:
        mask.visible = False
    viewer.layers.selection.active = image
    for command in ("show_green", "show_field_of_view"):
        run = PluginManager.instance().commands.execute
        run(f"{PLUGIN}.{command}", kwargs={"viewer": viewer})
    width = image.data.shape[1]
    viewer.layers[f"{image.name} green"].translate = (0, 1.05 * width)
    viewer.layers.selection.active = image


def image_list(viewer: napari.Viewer) -> None:
    """Show the list of a folder, one image corrected and two done."""
    folder = draw_folder(Path(tempfile.mkdtemp()) / "my eyes")
    viewer.open(folder, plugin=PLUGIN)
    (dock,) = (each for name, each in viewer.window.dock_widgets.items() if "list" in name)
    for number in (0, 1):
        dock.images.set_done(number, True)
    dock.go(2)
    vessel = viewer.layers[-1]
    vessel.data_setitem((np.array([0]), np.array([0])), 1)
    dock.save()
    viewer.layers.selection.active = vessel


def measurements(viewer: napari.Viewer) -> Layer:
    """Show the measurements of an image with a large cup, drawn on it; return where to zoom."""
    viewer.open_sample(PLUGIN, "large_cup")
    image = viewer.layers[0]
    viewer.layers.selection.active = image
    place = locate_fovea(12, SyntheticSettings(view="between", cup_to_disc=0.8, lesions=False))
    viewer.add_layer(Layer.create(*point_layer(layer_data(image), FOVEA, LocatedPoint(*place))))
    viewer.layers.selection.active = image
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Measurements")
    while dock.measured is None:
        QTest.qWait(100)
    (draw,) = (box for box in dock.findChildren(QCheckBox) if box.text() == "Draw")
    draw.click()
    QTest.qWait(2000)
    return viewer.layers[f"{image.name} rim sectors"]


def segment_result(viewer: napari.Viewer) -> None:
    """Show the first result for the optic disc, next to the Segment dock."""
    viewer.open_sample(PLUGIN, "healthy")
    image, *masks = viewer.layers
    REFERENCE.update({mask.name.split()[-1]: mask.data > 0 for mask in masks})
    for mask in masks:  # only the results are shown
        viewer.layers.remove(mask)
    viewer.layers.selection.active = image
    dock = segment_dock(viewer)
    dock.segment()
    wait(dock)


def segment_compare(viewer: napari.Viewer) -> None:
    """Compare the base model and its adapter with the exact mask."""
    segment_result(viewer)
    dock = segment_dock(viewer)
    dock.toggle_preview()
    image = dock.session.image
    viewer.add_labels(REFERENCE["disc"].astype(np.uint8), name=f"{image.name} disc", visible=False)
    (section,) = (one for one in dock.findChildren(Section) if "Compare" in one.title.text())
    section.title.click()
    panel = dock.comparison_panel
    panel.lists_requested.emit()
    panel.reference.setCurrentIndex(panel.reference.count() - 1)
    models, reference = [NO_ADAPTER, AUTOMATIC], panel.reference.currentData()
    panel.compare_requested.emit(models, reference, "side by side")
    wait(dock)


def segment_dock(viewer: napari.Viewer) -> SegmentDock:
    """Return the Segment dock of a viewer, after opening it if necessary."""
    docks = viewer.window.dock_widgets.values()
    opened = [dock for dock in docks if isinstance(dock, SegmentDock)]
    return opened[0] if opened else viewer.window.add_plugin_dock_widget(PLUGIN, "Segment")[1]


def wait(dock: SegmentDock) -> None:
    """Wait until all results and measurements are shown."""
    for worker in (dock.session.queue.worker, dock.session.results.live_measurements.worker):
        QTest.qWait(400)  # masks are measured a moment after the last change
        while worker.busy:
            QTest.qWait(50)


def draw_folder(folder: Path, *, count: int = 6) -> Path:
    """Draw a dataset."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(1, count + 1):
        drawn = draw_fundus(number + 40, SyntheticSettings(size=512))
        Image.fromarray(drawn.image).save(folder / "images" / f"eye {number:02}.png")
        for target in ("vessel", "disc", "cup"):
            mask = drawn.masks[target].astype(np.uint8) * np.uint8(255)
            Image.fromarray(mask).save(folder / "masks" / f"eye {number:02}_{target}.png")
    return folder


Prepare = Callable[[napari.Viewer], Layer | None]
"""Fills a window; returns the layer that the picture is about, None for the whole image."""

PICTURES: dict[str, Prepare] = {
    "open-image": open_image,
    "views": views,
    "image-list": image_list,
    "measurements": measurements,
    "segment-compare": segment_compare,
    **screenshots_train.PICTURES,
}


def zoom_to(viewer: napari.Viewer, layer: Layer) -> None:
    """Show a layer and a little of what is around it."""
    (top, left), (bottom, right) = layer.extent.world
    whole = viewer.layers.extent.world
    viewer.scene.camera.center = ((top + bottom) / 2, (left + right) / 2)
    viewer.scene.camera.zoom *= np.ptp(whole[:, 0]) / (1.6 * max(bottom - top, right - left))


def take(path: Path, prepare: Prepare) -> None:
    """Open a window, prepare it, and write its screenshot as a PNG."""
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    subject = prepare(viewer)
    QTest.qWait(500)
    viewer.fit_to_view()
    if subject is not None:
        zoom_to(viewer, subject)
    QTest.qWait(500)
    picture = viewer.window.screenshot(flash=False, canvas_only=False)
    viewer.window.remove_dock_widget("all")  # they ask before the window closes
    viewer.close()
    # 256 colors make a third of the size; this method keeps the rare ones, such as a small mask's.
    colors = Image.fromarray(picture[..., :3]).quantize(256, Image.Quantize.MAXCOVERAGE)
    colors.save(path, optimize=True)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    for name in sys.argv[1:] or PICTURES:
        take(IMAGES / f"{name}.png", PICTURES[name])
        sys.stdout.write(f"{IMAGES / name}.png\n")


if __name__ == "__main__":
    main()
