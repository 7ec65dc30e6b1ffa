"""Commands that show views of the selected image: green channel, CLAHE, field of view."""

import numpy as np
from napari.layers import Image, Layer
from napari.qt.threading import create_worker
from napari.viewer import Viewer
from skimage import measure

from napari_sam2lora.layers.conversion import LayerData, pixels_of, view_layer
from napari_sam2lora.layers.field_of_view import field_of_view
from napari_sam2lora.layers.lookup import layer_data, selected_image
from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.images.views import clahe_view, green_view
from sam2lora.types import Mask, Pixels

_TOLERANCE = 0.5  # pixels that the outline may deviate from the mask's border


def show_green(viewer: Viewer) -> None:
    """Show the green channel of the selected image, where vessels have the highest contrast."""
    with show_user_errors():
        image = selected_image(viewer)
        layer = layer_data(image)
        green = green_view(pixels_of(layer))
        _add_above(viewer, image, view_layer("green", green, layer, "image", colormap="gray"))


def show_clahe(viewer: Viewer) -> None:
    """Show the selected image with enhanced local contrast; large images take seconds."""
    with show_user_errors():
        image = selected_image(viewer)
        layer = layer_data(image)
        pixels = pixels_of(layer)

        def show(enhanced: Pixels) -> None:
            view = view_layer("CLAHE", enhanced, layer, "image", rgb=True)
            if image in viewer.layers:  # the user may have removed it in the meantime
                _add_above(viewer, image, view)

        create_worker(
            clahe_view,
            pixels,
            _connect={"returned": show},
            _progress={"desc": f"{image.name}: enhancing local contrast"},
        )


def show_field_of_view(viewer: Viewer) -> None:
    """Outline the field of view of the selected image; clicks outside of it are rejected."""
    with show_user_errors():
        image = selected_image(viewer)
        layer = layer_data(image)
        field = field_of_view(layer)
        width = max(1.0, field.diameter / 300)
        outline = view_layer(
            "field of view",
            [_outline(field.mask)],
            layer,
            "shapes",
            shape_type="polygon",
            edge_color="white",
            face_color="transparent",
            edge_width=width,
        )
        viewer.add_layer(Layer.create(*outline))


def _add_above(viewer: Viewer, image: Image, view: LayerData) -> None:
    """Insert a view directly above its image, below the masks."""
    viewer.layers.insert(viewer.layers.index(image) + 1, Layer.create(*view))


def _outline(mask: Mask) -> np.ndarray:
    """Return the contour of the largest component of a mask: `(N, 2)` (row, column)."""
    contours = measure.find_contours(np.pad(mask, 1).astype(np.float32), 0.5)
    longest = max(contours, key=len) - 1
    return np.asarray(measure.approximate_polygon(longest, _TOLERANCE))
