"""Reproduce a crash of napari without this plugin.

    python -m scripts.napari_crash

Without a graphics card (Mesa's software OpenGL; seen with Mesa 22.3.6, vispy 0.17, napari 0.9.2)
Python ends with a segmentation fault in `glDrawArrays`: an image and a mask are removed, another
image is added before napari has drawn the empty canvas, and then any further layer. With `--keep`
the image layer stays and gets the data of the other image, and nothing crashes.
"""

import faulthandler
import sys

import napari
import numpy as np
from qtpy.QtTest import QTest

_DRAWN = 500  # milliseconds in which napari draws


def main(*, keep: bool) -> None:
    """Replace an image in a window, and add a layer."""
    viewer = napari.Viewer()
    pixels = np.random.default_rng(0).integers(0, 255, (600, 600, 3), dtype=np.uint8)
    image = viewer.add_image(pixels)
    mask = viewer.add_labels(np.zeros((600, 600), np.uint8))
    QTest.qWait(_DRAWN)
    viewer.layers.remove(mask)
    if keep:
        image.data = pixels[::-1].copy()
    else:
        viewer.layers.remove(image)
        viewer.add_image(pixels[::-1].copy())
    QTest.qWait(_DRAWN)
    viewer.add_points(np.zeros((0, 2)))
    QTest.qWait(_DRAWN)
    sys.stdout.write("napari did not crash.\n")


if __name__ == "__main__":
    faulthandler.enable()
    main(keep="--keep" in sys.argv)
