"""Segments what the user chose as soon as an image is shown, and the next image of a list ahead."""

from napari.utils.events import Event
from qtpy.QtCore import QObject, QTimer

from napari_sam2lora._settings import preferences, set_segmented_on_opening
from napari_sam2lora.layers.conversion import mask_of
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.masks import find_mask_layer
from napari_sam2lora.layers.metadata import ensure_image_id
from napari_sam2lora.qt.dock_protocol import NextImage, next_image
from napari_sam2lora.segmentation.session import Session
from napari_sam2lora.segmentation.widgets.opening_controls import OpeningControls
from sam2lora.errors import Sam2LoraError
from sam2lora.targets import TARGETS, get_target, selectable_targets


class OpeningController(QObject):
    """Requests targets of each image that is shown, once.

    Parameters
    ----------
    session
        The session of the viewer.
    view
        The switch and the targets; it owns this controller.
    """

    def __init__(self, session: Session, view: OpeningControls) -> None:
        super().__init__(view)
        self._session, self._view = session, view
        self._asked: str | None = None  # the id of the image that was requested last
        self._timer = QTimer(self)  # an image may be added before its masks
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._request)
        view.changed.connect(self._on_changed)
        session.selection_changed.connect(self.refresh)
        self._show()

    def refresh(self) -> None:
        """Request the targets of the current image if it was not before."""
        self._show()
        image = self._session.image
        key = None if image is None else ensure_image_id(image)
        if key == self._asked:
            return
        self._asked = key
        if key is not None:
            self._session.queue.cancel_ahead(key)
            self._timer.start(0)

    def _request(self) -> None:
        session, image = self._session, self._session.image
        names = [name for name in self._view.targets if name in selectable_targets()]
        if image is None or not names:
            return
        key = ensure_image_id(image)
        for name in names:
            known = (key, name) in session.results.latest or session.queue.is_ahead((key, name))
            if not (known or self._is_painted(name)):
                session.queue.submit(image, get_target(name))
        ahead = next_image(session.viewer, key)
        if ahead is not None and ahead.key != key:
            self._request_ahead(ahead, names)

    def _request_ahead(self, ahead: NextImage, names: list[str]) -> None:
        for name in names:
            key = (ahead.key, name)
            results = self._session.results
            known = results.has_kept(key) or results.points.at(key) is not None
            if name not in ahead.annotated and not known:
                self._session.queue.submit_ahead(key, ahead.read, get_target(name))

    def _is_painted(self, name: str) -> bool:
        session = self._session
        if session.image is None:
            return False
        if get_target(name).kind == "point":
            return session.results.points.at((ensure_image_id(session.image), name)) is not None
        try:
            layer = find_mask_layer(session.viewer, session.image, get_target(name))
            return layer is not None and bool(mask_of(layer_data(layer)).any())
        except Sam2LoraError:  # shown when the target is segmented
            return True

    def _show(self, event: Event | None = None) -> None:
        chosen = preferences()
        self._view.show_state(
            on=chosen.segment_on_opening,
            names=list(selectable_targets()),
            checked=chosen.opening_targets or tuple(TARGETS),
        )

    def _on_changed(self) -> None:
        set_segmented_on_opening(self._view.switch.isChecked(), self._view.checked)
        self._request()
