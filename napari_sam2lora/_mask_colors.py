"""Makes napari ready to color masks, meanwhile, in a thread."""

import numpy as np
from napari.utils import DirectLabelColormap


def warm_up_colors() -> None:
    """Color one pixel as a mask's: before the first one, napari compiles that, for over a second.

    The window would stand still as long when the first answer is accepted. Neither Qt nor OpenGL
    is touched.
    """
    colors = {0: "transparent", 1: "white", None: "white"}
    DirectLabelColormap(color_dict=colors).map(np.zeros((1, 1), np.uint8))
