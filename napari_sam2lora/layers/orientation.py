"""Photographs that napari's own reader shows as the camera stored them, not upright.

A camera may store a photograph on its side and write into the file (EXIF) how to turn it.
`sam2lora` turns it on reading; napari's own reader does not, so that masks of `sam2lora predict` do
not fit what it shows.
"""

from weakref import ref

from napari.layers import Image, Layer
from napari.utils.events import Event
from napari.utils.notifications import Notification, NotificationSeverity, notification_manager
from napari.viewer import Viewer

from napari_sam2lora.layers.insertion import set_visible
from napari_sam2lora.layers.loading import image_file_at, read_image_layers
from napari_sam2lora.layers.lookup import file_of, fundus_images, layer_size, linked_layers
from napari_sam2lora.layers.metadata import image_id
from napari_sam2lora.qt.notifications import show_user_errors
from sam2lora.errors import ImageError
from sam2lora.images.decoding import read_orientation, read_shape

_READER = "napari"  # the only reader known not to turn images upright
_SIDEWAYS = (5, 6, 7, 8)


def is_unturned(image: Image) -> bool:
    """Check whether an image shows the pixels of its file before they are turned upright."""
    path = file_of(image)
    if path is None or image.source.reader_plugin != _READER:
        return False
    orientation = read_orientation(path)
    if orientation == 1:
        return False
    try:
        height, width = read_shape(path)
    except ImageError:
        return False
    stored = (width, height) if orientation in _SIDEWAYS else (height, width)
    return layer_size(image) == stored


class UprightOffer:
    """Notify of each image that is added unturned, and offer the upright one.

    Parameters
    ----------
    viewer
        The viewer that holds the images.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        for image in fundus_images(viewer.layers):
            self._offer(image)
        viewer.layers.events.inserted.connect(self._on_inserted)

    def close(self) -> None:
        """Disconnect from the viewer."""
        self._viewer.layers.events.inserted.disconnect(self._on_inserted)

    def _on_inserted(self, event: Event) -> None:
        if event.value in fundus_images(self._viewer.layers):
            self._offer(event.value)

    def _offer(self, image: Image) -> None:
        if not is_unturned(image):
            return
        path = file_of(image)
        message = (
            f"{path and path.name} is shown as the camera stored it, not upright. Masks of "
            "`sam2lora predict` do not fit it; open it upright, with the reader napari-sam2lora."
        )
        # napari keeps notifications; they must not keep a closed viewer.
        viewer, unturned = ref(self._viewer), ref(image)

        def pressed(_: Notification) -> None:
            if (in_viewer := viewer()) is not None and (layer := unturned()) is not None:
                open_upright(in_viewer, layer)

        notification_manager.dispatch(
            Notification(
                message,
                NotificationSeverity.WARNING,
                actions=[("Open upright", pressed)],
            )
        )


def open_upright(viewer: Viewer, image: Image) -> None:
    """Open an image's file upright, instead of the image.

    An image that already has masks, prompts or views is hidden, not removed.
    """
    path, layers = file_of(image), viewer.layers
    if path is None or image not in layers:
        return
    with show_user_errors():
        for layer in read_image_layers(image_file_at(path)):
            layers.append(Layer.create(*layer))
        if linked_layers(layers, image_id(image.metadata, image.name)):
            set_visible(image, False)
        else:
            layers.remove(image)
