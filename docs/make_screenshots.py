"""Take the pictures of napari that the documentation shows.

    python docs/make_screenshots.py [NAME ...]

A real window opens for each picture. Without a screen, on Linux:

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/make_screenshots.py

Only drawn images are shown: the public data sets may not be spread with this project.
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
from npe2 import PluginManager
from PIL import Image
from qtpy.QtTest import QTest

from sam2lora.synthetic import SyntheticSettings, draw_fundus

PLUGIN = "napari-sam2lora"
IMAGES = Path(__file__).parent / "images"
WINDOW = (1200, 780)


def open_image(viewer: napari.Viewer) -> None:
    """Show a photograph with its masks, as it opens."""
    viewer.open_sample(PLUGIN, "healthy")
    viewer.layers.selection.active = viewer.layers[0]


def views(viewer: napari.Viewer) -> None:
    """Show a photograph with its field of view outlined, and its green channel beside it."""
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


def measurements(viewer: napari.Viewer) -> None:
    """Show the measurements of a photograph with a large cup."""
    viewer.open_sample(PLUGIN, "large_cup")
    viewer.layers.selection.active = viewer.layers[0]
    viewer.window.add_plugin_dock_widget(PLUGIN, "Measurements")


def draw_folder(folder: Path, *, count: int = 6) -> Path:
    """Draw a data set of one's own."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(1, count + 1):
        drawn = draw_fundus(number + 40, SyntheticSettings(size=512))
        Image.fromarray(drawn.image).save(folder / "images" / f"eye {number:02}.png")
        for target in ("vessel", "disc", "cup"):
            mask = drawn.masks[target].astype(np.uint8) * np.uint8(255)
            Image.fromarray(mask).save(folder / "masks" / f"eye {number:02}_{target}.png")
    return folder


PICTURES: dict[str, Callable[[napari.Viewer], None]] = {
    "open-image": open_image,
    "views": views,
    "image-list": image_list,
    "measurements": measurements,
    **screenshots_train.PICTURES,
}


def take(path: Path, prepare: Callable[[napari.Viewer], None]) -> None:
    """Open a window, let `prepare` bring it into the state to show, and write it as a PNG."""
    viewer = napari.Viewer(show_welcome_screen=False)
    viewer.window.resize(*WINDOW)
    prepare(viewer)
    QTest.qWait(500)
    viewer.fit_to_view()
    QTest.qWait(500)
    picture = viewer.window.screenshot(flash=False, canvas_only=False)
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
