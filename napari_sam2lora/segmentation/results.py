"""The results of one viewer: shown as previews, measured, and accepted into masks."""

from collections.abc import Container

from napari.layers import Image, Labels
from napari.viewer import Viewer
from qtpy.QtCore import QObject, Signal

from napari_sam2lora.layers.conversion import masks_of, spacing_of
from napari_sam2lora.layers.fading import FadedLayers
from napari_sam2lora.layers.images import ImageSnapshot
from napari_sam2lora.layers.insertion import set_visible
from napari_sam2lora.layers.lookup import layer_data, masks_of_image
from napari_sam2lora.layers.masks import AcceptMode, accept_mask
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.points import PointLayers
from napari_sam2lora.layers.preview import PreviewLayers
from napari_sam2lora.segmentation.kept_results import KeptResults
from napari_sam2lora.segmentation.live_measurements import LiveMeasurements
from napari_sam2lora.segmentation.requests import SegmentationResult
from sam2lora.targets import Target, get_target
from sam2lora.types import Mask

_OUTDATED = 0.4  # of its opacity is left to an outdated preview


class ResultStore(QObject):
    """The latest result for each image and target, and the threshold that makes its mask.

    Parameters
    ----------
    viewer
        Where they are shown.

    Signals
    -------
    threshold_changed(key)
        The threshold of this image and target has changed.

    Attributes
    ----------
    latest
        The latest results.
    live_measurements
        What measures them.
    previews, points
        The layers that show masks, and those that show targets that are points.
    """

    threshold_changed = Signal(object)

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self.latest: dict[TargetKey, SegmentationResult] = {}
        self.live_measurements = LiveMeasurements()
        self.previews, self.points = PreviewLayers(viewer), PointLayers(viewer)
        self._viewer = viewer
        self._thresholds: dict[TargetKey, float] = {}
        self._faded = FadedLayers(_OUTDATED)
        self._accepted: set[TargetKey] = set()
        self._kept = KeptResults()

    def show(self, image: Image, result: SegmentationResult) -> None:
        """Show a result, in place of an earlier one."""
        target = result.request.target
        key = (result.request.image.key, target.name)
        self.latest[key] = result
        self._accepted.discard(key)
        self._kept.discard(key)
        self.previews.show(
            image,
            target,
            result.prediction.probabilities,
            threshold=self.threshold(key),
            confidence=self._confidence(result),
        )

    def keep(self, result: SegmentationResult) -> None:
        """Keep a result of an image that is not in the viewer, until it is shown again."""
        self._kept.keep(result)

    def restore(self, image: Image) -> list[SegmentationResult]:
        """Show the results of an image that were kept while it was not in the viewer."""
        key = ensure_image_id(image)
        if not self._kept.targets(key):
            return []
        results = list(self._kept.take(ImageSnapshot(key, layer_data(image))))
        for result in results:
            self.show(image, result)
        return results

    def has_kept(self, key: TargetKey) -> bool:
        """Check whether a result is kept for when its image is shown."""
        return key[1] in self._kept.targets(key[0])

    def unaccepted(self, image_id: str | None = None) -> list[TargetKey]:
        """Return of which targets, of one image or of all, the result was not accepted."""
        shown = [key for key in self.latest if key not in self._accepted]
        return [key for key in shown if image_id in (None, key[0])]

    def lost_on_closing(self) -> dict[str, list[str]]:
        """Return the targets of each image that were shown and not accepted, by the image's id."""
        lost: dict[str, list[str]] = {}
        for image, target in (*self._kept.seen(), *self.unaccepted(), *self.points.unaccepted()):
            lost.setdefault(image, []).append(target)
        return lost

    def threshold(self, key: TargetKey) -> float:
        """Return the probability that makes a mask: as set, else the adapter's or the target's."""
        if key in self._thresholds:
            return self._thresholds[key]
        result = self.latest.get(key)
        return result.task.threshold if result else get_target(key[1]).threshold

    def chosen_threshold(self, key: TargetKey) -> float | None:
        """Return the threshold the user set; None for the default one."""
        return self._thresholds.get(key)

    def set_threshold(self, key: TargetKey, threshold: float) -> None:
        """Set the probability that makes a mask, and show it."""
        if threshold == self.threshold(key):
            return
        self._thresholds[key] = threshold
        layer = self.previews.find(key)
        if layer is not None:
            self.previews.set_threshold(layer, threshold)
        self.threshold_changed.emit(key)

    def mask(self, key: TargetKey) -> Mask:
        """Return the mask of the latest result at the threshold, `(H, W)` bool."""
        return self.latest[key].prediction.probabilities >= self.threshold(key)

    def accept(self, image: Image, target: Target, mode: AcceptMode) -> Labels:
        """Write a result into the target's mask, and hide its preview.

        Raises
        ------
        Sam2LoraError
            If the mask's layer does not fit.
        """
        key = (ensure_image_id(image), target.name)
        result = self.latest[key]
        prompts = result.request.prompts
        labels = accept_mask(
            self._viewer,
            image,
            target,
            self.mask(key),
            mode,
            confidence=self._confidence(result),
            corrected=bool(prompts.points or prompts.box or prompts.outline),
        )
        preview = self.previews.find(key)
        if preview is not None:
            set_visible(preview, False)
        self._accepted.add(key)
        labels.mode = "pan_zoom"
        return labels

    def measure(self, image: Image, target: Target) -> None:
        """Measure an image soon: of each target the preview that is shown, else the mask.

        Raises
        ------
        Sam2LoraError
            If a mask is a stack, or two layers show one target.
        """
        image_id = ensure_image_id(image)
        key = (image_id, target.name)
        result = self.latest[key]
        painted = masks_of([layer_data(one) for one in masks_of_image(self._viewer, image)])
        masks = {name: one for name, one in painted.items() if one.shape == result.prepared.shape}
        for other in self.latest:
            if other[0] == image_id and self._is_shown(other):
                masks[other[1]] = self.mask(other)
        spacing = spacing_of(layer_data(image))
        # The network says nothing about a mask that was painted since, or an outline.
        shown = self._is_shown(key)
        said = shown and result.request.prompts.outline is None
        self.live_measurements.submit(
            key,
            result.prediction.iou if said else None,
            masks,
            result.prepared.field,
            spacing,
            confidence=self._confidence(result) if shown else None,
        )

    def _confidence(self, result: SegmentationResult) -> float | None:
        """Return how sure a result is; nothing is known of an outline that was drawn."""
        outlined = result.request.prompts.outline is not None
        return None if outlined else result.prediction.confidence

    def _is_shown(self, key: TargetKey) -> bool:
        layer = self.previews.find(key)
        return layer is not None and layer.visible

    def mark_outdated(self, key: TargetKey, *, outdated: bool) -> None:
        """Show a preview faded while it is outdated, and as it was when it no longer is."""
        layer = self.previews.find(key)
        if layer is not None:
            self._faded.set_faded(layer, faded=outdated)

    def keep_only(self, images: Container[str]) -> None:
        """Remove the previews of all images but those with these ids.

        Results that were not accepted are kept for when their image is shown again.
        """
        self.previews.keep_only(images)
        for key in self.unaccepted():
            if key[0] not in images:
                self._kept.keep(self.latest[key], seen=True)
        self.latest = {key: one for key, one in self.latest.items() if key[0] in images}
        self._accepted &= self.latest.keys()
        self._faded.restore(but=[self.previews.find(key) for key in self.latest])

    def close(self) -> None:
        """Stop measuring, and give outdated previews their opacity back."""
        self.live_measurements.close()
        self.points.close()
        self._faded.restore()
