"""The answers of one viewer: shown as previews, measured, and accepted into masks."""

from collections.abc import Container

from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.layers.conversion import masks_of, spacing_of
from napari_sam2lora.layers.insertion import set_visible
from napari_sam2lora.layers.lookup import layer_data, linked_labels
from napari_sam2lora.layers.masks import AcceptMode, accept_mask
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.preview import PreviewLayers
from napari_sam2lora.segmentation.live_measurements import LiveMeasurements
from napari_sam2lora.segmentation.requests import SegmentationResult
from sam2lora.targets import Target, get_target
from sam2lora.types import Mask

_OLD = 0.4  # of its opacity is left to a preview that is out of date


class ResultStore(QObject):
    """The last answer for each image and target, and the threshold that makes its mask.

    Parameters
    ----------
    viewer
        Where they are shown.

    Signals
    -------
    threshold_changed(place)
        The mask of this image and target is another now.

    Attributes
    ----------
    latest
        The last answers.
    live_measurements
        What measures them.
    """

    threshold_changed = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.latest: dict[TargetKey, SegmentationResult] = {}
        self.live_measurements = LiveMeasurements()
        self.previews = PreviewLayers(viewer)
        self._viewer = viewer
        self._thresholds: dict[TargetKey, float] = {}
        self._old: dict[TargetKey, float] = {}  # opacities of previews before they were marked

    def show(self, image: Image, result: SegmentationResult) -> None:
        """Show an answer, in place of the one before."""
        target = result.request.target
        place = (result.request.image.key, target.name)
        self.latest[place] = result
        self.previews.show(
            image, target, result.prediction.probabilities, threshold=self.threshold(place)
        )

    def threshold(self, place: TargetKey) -> float:
        """Give the probability that makes a mask: as set, else the adapter's or the target's."""
        if place in self._thresholds:
            return self._thresholds[place]
        result = self.latest.get(place)
        return result.task.threshold if result else get_target(place[1]).threshold

    def chosen_threshold(self, place: TargetKey) -> float | None:
        """Give the threshold that the user set; None where it is the usual one."""
        return self._thresholds.get(place)

    def set_threshold(self, place: TargetKey, threshold: float) -> None:
        """Set the probability that makes a mask, and show it."""
        if threshold == self.threshold(place):
            return
        self._thresholds[place] = threshold
        layer = self.previews.find(place)
        if layer is not None:
            self.previews.set_threshold(layer, threshold)
        self.threshold_changed.emit(place)

    def mask(self, place: TargetKey) -> Mask:
        """Give the mask of the last answer at the threshold."""
        return self.latest[place].prediction.probabilities >= self.threshold(place)

    def accept(self, image: Image, target: Target, mode: AcceptMode) -> Labels:
        """Write an answer into the target's mask, and hide its preview.

        Raises
        ------
        Sam2LoraError
            If the mask's layer does not fit.
        """
        place = (ensure_image_id(image), target.name)
        labels = accept_mask(self._viewer, image, target, self.mask(place), mode)
        preview = self.previews.find(place)
        if preview is not None:
            set_visible(preview, False)
        labels.mode = "pan_zoom"
        return labels

    def measure(self, image: Image, target: Target) -> None:
        """Measure an image soon: of each target the answer that is shown, else what is painted.

        Raises
        ------
        Sam2LoraError
            If a mask is a stack, or two layers show one target.
        """
        key = ensure_image_id(image)
        result = self.latest[key, target.name]
        painted = masks_of([layer_data(one) for one in linked_labels(self._viewer, image)])
        masks = {name: one for name, one in painted.items() if one.shape == result.prepared.shape}
        for place in self.latest:
            layer = self.previews.find(place)
            if place[0] == key and layer is not None and layer.visible:
                masks[place[1]] = self.mask(place)
        spacing = spacing_of(layer_data(image))
        self.live_measurements.ask(
            (key, target.name), result.prediction.iou, masks, result.prepared.field, spacing
        )

    def field_of(self, image: Image) -> Mask | None:
        """Give an image's field of view as an answer to it had it; None before the first one."""
        for result in self.latest.values():
            if result.request.image.source is image.data:
                return result.prepared.field.mask
        return None

    def mark(self, place: TargetKey, *, old: bool) -> None:
        """Show a preview paler as long as it answers something else than what is asked now."""
        layer = self.previews.find(place)
        if layer is not None and (place in self._old) != old:
            if old:
                self._old[place] = layer.opacity
                layer.opacity = layer.opacity * _OLD
            else:
                layer.opacity = self._old.pop(place)

    def forget_but(self, images: Container[str]) -> None:
        """Let go of the answers for all images but those with these keys, and of their previews."""
        self.previews.remove_but(images)
        self.latest = {place: one for place, one in self.latest.items() if place[0] in images}
        there = {place for place in self._old if self.previews.find(place) is not None}
        self._old = {place: one for place, one in self._old.items() if place in there}

    def close(self) -> None:
        """Measure nothing more; previews that are out of date look as they did before."""
        self.live_measurements.close()
        for place in list(self._old):
            self.mark(place, old=False)
