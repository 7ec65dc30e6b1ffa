"""The view of a viewer while docks take room from its canvas."""

import numpy as np
from napari.layers import Image
from napari.viewer import Viewer
from qtpy.QtWidgets import QWidget

from sam2lora.types import Mask

_TOLERANCE = 1  # pixel that may lie outside
_SHARE = 0.4  # of the view that something small fills


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


def look_at(viewer: Viewer, image: Image, mask: Mask) -> None:
    """Show what a mask marks in the middle, as large as makes sense; all of the image at least.

    Parameters
    ----------
    viewer
        The viewer.
    image
        The layer of the image.
    mask
        `(H, W)` bool in pixels of the image; if it is empty, nothing is changed.
    """
    box = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    if not len(box[0]):
        return
    times = min(
        size / (pixels[-1] - pixels[0] + 1) for size, pixels in zip(mask.shape, box, strict=True)
    )
    viewer.fit_to_view(layers=[image])
    camera = viewer.scene.camera
    camera.zoom *= max(1.0, _SHARE * times)
    middle = [(pixels[0] + pixels[-1]) / 2 for pixels in box]
    before = (0.0,) * (image.ndim - 2)
    camera.center = (0.0, *image.data_to_world((*before, *middle))[-2:])
