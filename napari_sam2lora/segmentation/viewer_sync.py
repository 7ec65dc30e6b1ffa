"""Follows a viewer's layers: what came, what left, which one is selected, and the keys on them."""

from collections.abc import Callable, Mapping

from napari.layers import Image, Layer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.lookup import fundus_images
from napari_sam2lora.layers.metadata import plugin_metadata
from napari_sam2lora.qt.notifications import show_user_errors
from napari_sam2lora.segmentation import keybindings as keys
from napari_sam2lora.segmentation.session import Session


class ViewerSync(QObject):
    """Keeps a session to what is in its viewer.

    Parameters
    ----------
    session
        Of the viewer.
    actions
        What the keys do, by action.

    Signals
    -------
    layers_changed()
        Layers came or left, and the session knows it.
    tool_changed()
        A click in the window may do something else now.
    """

    layers_changed = Signal()
    tool_changed = Signal()

    def __init__(self, session: Session, actions: Mapping[str, Callable[[], object]]) -> None:
        super().__init__()
        self._session, self._actions = session, actions
        self._bound: list[Layer] = []
        self._closed = self._followed = False
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
        """Let the session know what is in the viewer now; an image that left is replaced."""
        if self._closed:
            return
        session, layers = self._session, self._session.viewer.layers
        images = fundus_images(layers)
        session.sync_layers()
        if not self._followed:
            self._followed = True
            self._on_active()  # a dock that is opened again goes on where the user is
        if session.image not in images:
            active = layers.selection.active
            following = active if active in images else next(iter(images), None)
            session.set_image(following if isinstance(following, Image) else None)
        self._bound = [layer for layer in self._bound if layer in layers]
        for layer in layers:
            self._bind(layer)
        self.layers_changed.emit()

    def close(self) -> None:
        """Let go of the viewer, and give its keys back.

        Qt's own parts are left alone: when Python ends, they may be gone already.
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
            if "prompts" in plugin_metadata(layer.metadata):
                layer.events.mode.disconnect(self._on_mode)

    def _soon(self) -> None:
        """Look again once whoever changes the layers is done."""
        self._timer.start(0)

    def _bind(self, layer: Layer) -> None:
        """Bind the keys to a photograph, its masks and its previews."""
        known = plugin_metadata(layer.metadata)
        ours = isinstance(layer, Image) or "image" in known
        if ours and layer not in self._bound and "prompts" not in known:
            keys.bind(layer, self._actions, prompts=False)
            layer.events.name.connect(self._soon)
            self._bound.append(layer)

    def _bind_prompts(self, layer: Layer) -> None:
        keys.bind(layer, self._actions, prompts=True)
        layer.events.name.connect(self._soon)
        layer.events.mode.connect(self._on_mode)
        self._bound.append(layer)

    def _on_mode(self) -> None:
        self.tool_changed.emit()

    def _on_active(self) -> None:
        """Follow the layer that the user selects to the image and the target it belongs to."""
        session = self._session
        active = session.viewer.layers.selection.active
        known = {} if active is None else plugin_metadata(active.metadata)
        if "image" in known and "target" in known:
            image = session.images.find(known["image"])
            with show_user_errors():
                session.set_target(known["target"], image=image)
        elif active in fundus_images(session.viewer.layers):
            session.set_image(active)
        self.tool_changed.emit()
