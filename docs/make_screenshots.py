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

# The user's own napari settings stay untouched, and do not show in the pictures.
os.environ["NAPARI_CONFIG"] = str(Path(tempfile.mkdtemp()) / "settings.yaml")

import napari
from PIL import Image
from qtpy.QtTest import QTest

PLUGIN = "napari-sam2lora"
IMAGES = Path(__file__).parent / "images"
WINDOW = (1200, 780)


def open_image(viewer: napari.Viewer) -> None:
    """Show a photograph with its masks, as it opens."""
    viewer.open_sample(PLUGIN, "fundus")
    viewer.layers.selection.active = viewer.layers[0]


PICTURES: dict[str, Callable[[napari.Viewer], None]] = {"open-image": open_image}


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
