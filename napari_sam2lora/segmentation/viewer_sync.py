"""Keeps a session in step with its viewer's layers: added, removed, selected, and their keys."""

from collections.abc import Callable, Mapping

from napari.layers import Image, Labels, Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.lookup import fundus_images
from napari_sam2lora.layers.masks import match_brush
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.layers.points import is_point
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.segmentation import keybindings as keys
from napari_sam2lora.segmentation.session import Session


class ViewerSync(QObject):
    """Keeps a session in step with its viewer.

    Parameters
    ----------
    session
        The session of the viewer.
    actions
        The function of each key binding's action.

    Signals
    -------
    layers_changed()
        Layers were added or removed, and the session is up to date.
    tool_changed()
        A click on the canvas may do something else now.
    """

    layers_changed = Signal()
    tool_changed = Signal()

    def __init__(self, session: Session, actions: Mapping[str, Callable[[], object]]) -> None:
        super().__init__()
        self._session, self._actions = session, actions
        self._bound: list[Layer] = []
        self._closed = self._synced = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.refresh)
        session.prompts.layer_added.connect(self._bind_prompts)
        layers = session.viewer.layers
        layers.events.inserted.connect(self._soon)
        layers.events.removed.connect(self._soon)
        layers.events.reordered.connect(self._soon)
        layers.selection.events.active.connect(self._on_active)

    def refresh(self) -> None:
        """Update the session from the viewer; a current image that was removed is replaced."""
        if self._closed:
            return
        session, layers = self._session, self._session.viewer.layers
        images = fundus_images(layers)
        session.sync_layers()
        if not self._synced:
            self._synced = True
            self._on_active()  # a dock that is reopened starts with what is selected
        if session.image not in images:
            active = layers.selection.active
            image = active if active in images else next(iter(images), None)
            session.set_image(image if isinstance(image, Image) else None)
        self._bound = [layer for layer in self._bound if layer in layers]
        for layer in layers:
            self._bind(layer)
        self.layers_changed.emit()

    def close(self) -> None:
        """Disconnect from the viewer, and restore its keys.

        Qt objects are not touched: when Python exits, they may be deleted already.
        """
        self._closed = True
        layers = self._session.viewer.layers
        layers.events.inserted.disconnect(self._soon)
        layers.events.removed.disconnect(self._soon)
        layers.events.reordered.disconnect(self._soon)
        layers.selection.events.active.disconnect(self._on_active)
        for layer in self._bound:
            keys.unbind(layer)
            layer.events.name.disconnect(self._soon)
            if _is_fundus(layer):
                layer.events.metadata.disconnect(self._on_image_changed)
            if "prompts" in plugin_metadata(layer.metadata) or is_point(layer):
                layer.events.mode.disconnect(self._on_mode)

    def _soon(self) -> None:
        """Refresh once the current change of the layers is complete."""
        self._timer.start(0)

    def _on_image_changed(self) -> None:
        """Put results aside whose image is not shown any more: its layer may show another one."""
        self._session.put_results_aside()
        self._soon()

    def _bind(self, layer: Layer) -> None:
        """Bind the keys to an image, its masks and its previews."""
        metadata = plugin_metadata(layer.metadata)
        ours = isinstance(layer, Image) or "image" in metadata
        if ours and layer not in self._bound and "prompts" not in metadata:
            keys.bind(layer, self._actions, prompts=is_point(layer))
            if is_point(layer):
                layer.events.mode.connect(self._on_mode)
            layer.events.name.connect(self._soon)
            if isinstance(layer, Labels):
                match_brush(layer)
            if _is_fundus(layer):
                layer.events.metadata.connect(self._on_image_changed)
            self._bound.append(layer)

    def _bind_prompts(self, layer: Layer) -> None:
        keys.bind(layer, self._actions, prompts=True)
        layer.events.name.connect(self._soon)
        layer.events.mode.connect(self._on_mode)
        self._bound.append(layer)

    def _on_mode(self) -> None:
        self.tool_changed.emit()

    def _on_active(self) -> None:
        """Select the image and the target that the active layer belongs to."""
        session = self._session
        active = session.viewer.layers.selection.active
        metadata = {} if active is None else plugin_metadata(active.metadata)
        if "image" in metadata and "target" in metadata:
            image = session.images.find(metadata["image"])
            with show_user_errors():
                session.set_target(metadata["target"], image=image)
        elif active in fundus_images(session.viewer.layers):
            session.set_image(active)
        self.tool_changed.emit()


def _is_fundus(layer: Layer) -> bool:
    return isinstance(layer, Image) and "view" not in plugin_metadata(layer.metadata)
