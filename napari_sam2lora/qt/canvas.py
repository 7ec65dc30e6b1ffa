"""The view of a viewer while docks take room from its canvas."""

import numpy as np
from napari.viewer import Viewer
from qtpy.QtWidgets import QWidget

_TOLERANCE = 1  # pixel that may lie outside


def shows_everything(viewer: Viewer, canvas: QWidget) -> bool:
    """Check whether all layers of a viewer lie within its canvas; False without layers.

    Parameters
    ----------
    viewer
        The viewer.
    canvas
        The widget that it draws in.
    """
    if not viewer.layers:
        return False
    camera = viewer.scene.camera
    half = np.array([canvas.height() / 2, canvas.width() / 2]) + _TOLERANCE
    outside = np.abs(viewer.layers.extent.world[:, -2:] - camera.center[-2:]) * camera.zoom > half
    return not bool(outside.any())
