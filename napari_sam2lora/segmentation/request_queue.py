"""Requests to the network: made from what is chosen and clicked, queued, and shown when done."""

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from napari.layers import Image
from napari.utils.notifications import notification_manager
from napari.viewer import Viewer
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.conversion import LayerData, mask_of
from napari_sam2lora.layers.field_of_view import known_field_of_view
from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.lookup import layer_data
from napari_sam2lora.layers.masks import find_mask_layer
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.points import LocatedPoint
from napari_sam2lora.layers.prompt_history import same_prompts
from napari_sam2lora.layers.prompts import PromptLayers
from napari_sam2lora.qt.worker import Worker
from napari_sam2lora.segmentation.engine import Engine
from napari_sam2lora.segmentation.model_choice import ModelChoices
from napari_sam2lora.segmentation.requests import (
    ComputeSettings,
    DeviceInfo,
    FailedRequest,
    LocatedResult,
    SegmentationRequest,
    SegmentationResult,
)
from napari_sam2lora.segmentation.results import ResultStore
from sam2lora.errors import GeometryError, Sam2LoraError
from sam2lora.inference.settings import PredictSettings
from sam2lora.targets import Target, get_target
from sam2lora.types import Mask

_DEVICE = "device"


class RequestQueue(QObject):
    """The requests of one viewer, from the first prompt to the result that is shown.

    Parameters
    ----------
    viewer
        The viewer.
    images, prompts
        Its images and prompts.
    results
        Where results are shown.
    choices
        What segments.

    Signals
    -------
    predicted(result)
        There is a result, of an image that is shown or of another.
    result_ready(result)
        A result is shown: a `SegmentationResult` or `LocatedResult`.
    device_ready(device)
        It is known what computes: a `DeviceInfo`.
    message(text)
        Something the user should read.

    Attributes
    ----------
    worker, engine
        The worker thread, and what computes in it.
    errors
        Why targets have no result.
    """

    predicted = Signal(object)
    result_ready = Signal(object)
    device_ready = Signal(object)
    message = Signal(str)

    def __init__(
        self,
        viewer: Viewer,
        images: ImageLayers,
        prompts: PromptLayers,
        results: ResultStore,
        choices: ModelChoices,
    ) -> None:
        super().__init__()
        self.worker, self.engine, self.errors = Worker(), Engine(), RequestErrors()
        self._viewer, self._choices = viewer, choices
        self._images, self._prompts, self._results = images, prompts, results
        self._pending = PendingRequests(images, prompts, choices)
        prompts.changed.connect(self._on_prompts)
        choices.changed.connect(self.mark_outdated)
        results.live_measurements.failed.connect(self._on_failed)
        self.worker.done.connect(self._on_done)
        self.worker.failed.connect(self._on_failed)
        self.worker.stopped.connect(self._on_stopped)

    def describe_device(self) -> None:
        """Load torch in the background, and find out what it computes on."""
        self.worker.submit(_DEVICE, partial(self.engine.describe, self._choices.compute))

    def free_memory(self) -> None:
        """Free the network's memory once all requests are done."""
        self.worker.submit("memory", self.engine.free)

    def make_request(self, image: Image, target: Target) -> SegmentationRequest:
        """Return what would be requested for a target of an image now.

        Raises
        ------
        ImageError
            If the image, or the painted mask, is a stack.
        TargetError
            If two layers show the target.
        """
        choices = self._choices
        key = (ensure_image_id(image), target.name)
        prompts = self._prompts.at(key)
        if choices.start_from_mask:
            layer = find_mask_layer(self._viewer, image, target)
            prompts = replace(prompts, mask=None if layer is None else mask_of(layer_data(layer)))
        return SegmentationRequest(
            self._images.snapshot(image),
            target,
            prompts,
            choices.compute,
            choices.choice(target),
            choices.start_from_mask,
            choices.adapters_revision,
            choices.outer_adapter(target),
            self._outer_mask(image, target),
            self._results.chosen_threshold(key),
            self._results.points.at(key),
        )

    def _outer_mask(self, image: Image, target: Target) -> Mask | None:
        """Return the mask in the viewer of the target that another one lies in, if it has any."""
        if target.inside is None:
            return None
        layer = find_mask_layer(self._viewer, image, get_target(target.inside))
        mask = None if layer is None else mask_of(layer_data(layer))
        fits = mask is not None and mask.shape == image.data.shape[:2] and mask.any()
        return mask if fits else None

    def submit(self, image: Image, target: Target) -> None:
        """Request a target of an image with its prompts, or show why that is impossible."""
        key = ensure_image_id(image), target.name
        self.errors.clear(key)
        try:
            request = self.make_request(image, target)
        except Sam2LoraError as error:
            self._show_error(key, str(error))
            return
        self._pending.add(request)
        self.worker.submit(key, partial(self.engine.try_segment, request))

    def segment_files(
        self, settings: Sequence[PredictSettings], compute: ComputeSettings, *, key: str
    ) -> None:
        """Segment files, after all other requests; the worker yields each `FileResult`."""
        work = partial(self.engine.segment_files, settings, compute)
        self.worker.submit(key, work, low_priority=True)

    def cancel(self, *keys: str) -> None:
        """Cancel all requests, or those with these keys."""
        self.worker.cancel(*keys, but=_DEVICE)

    def blocking_reason(self, result: SegmentationResult) -> str:
        """Return why a result cannot be accepted now, or an empty string."""
        request = result.request
        if self._pending.newest((request.image.key, request.target.name)) is not None:
            return "The newest result is still being computed. Accept it when it is shown."
        if not self._pending.is_current(request):
            return (
                "This result is older than the current settings and prompts. Press Segment for a "
                "new one first."
            )
        return ""

    def waiting(self, image_id: str) -> list[str]:
        """Return the names of the targets of an image that have no result yet, but were asked for.

        Those are not among them that have an older result.
        """
        ahead = [key[1:] for key in self._ahead()]
        asked = [*self._pending.all(), *ahead]
        new = (key for key in asked if key not in self._results.latest)
        return list(dict.fromkeys(target for image, target in new if image == image_id))

    def mark_outdated(self) -> None:
        """Show previews paler that are out of date and not about to be replaced."""
        for key, result in self._results.latest.items():
            pending = self._pending.newest(key) is not None
            outdated = not pending and not self._pending.is_current(result.request)
            self._results.mark_outdated(key, outdated=outdated)

    def close(self) -> None:
        """Stop the worker and release the network."""
        self.worker.close()
        self.engine.close()

    def _on_prompts(self, key: TargetKey) -> None:
        self.errors.clear(key)
        image = self._images.find(key[0])
        if image is None:
            return
        field = known_field_of_view(image.data)
        if field is not None:
            try:
                self._prompts.at(key).check_inside(field.mask)
            except GeometryError as error:
                # Not now: napari is in the middle of adding the point or the rectangle.
                QTimer.singleShot(0, partial(self._remove_outside, key, field.mask, str(error)))
                return
        newest = self._pending.newest(key)
        if newest is None and key in self._results.latest:
            newest = self._results.latest[key].request
        if newest is None or not self._pending.is_current(newest):
            self.submit(image, get_target(key[1]))
        self.mark_outdated()

    def _remove_outside(self, key: TargetKey, field: Mask, message: str) -> None:
        """Remove prompts outside the field of view, and show why until the next prompt."""
        self._prompts.keep_inside(key, field)
        self._show_error(key, message)

    def _on_done(self, key: object, result: object) -> None:
        if isinstance(result, SegmentationResult | LocatedResult | FailedRequest):
            self._pending.remove(result.request)
        if isinstance(result, LocatedResult):
            self._show_point(result)
        if isinstance(result, SegmentationResult):
            self._show(result)
        elif isinstance(result, FailedRequest):
            self._show_failure(result)
        elif isinstance(result, DeviceInfo):
            self.device_ready.emit(result)

    def _show(self, result: SegmentationResult) -> None:
        self.predicted.emit(result)
        image = self._images.find(result.request.image.key)
        if image is not None and image.data is result.request.image.source:
            self._results.show(image, result)
            self.mark_outdated()
            self.result_ready.emit(result)
            return
        self._results.keep(result)  # of an image that is not shown yet, or no longer
        if image is not None and not self.restore(image):
            self.message.emit("The image has changed, so its result is not shown.")

    def _show_point(self, result: LocatedResult) -> None:
        request, found = result.request, result.prediction
        key = (request.image.key, request.target.name)
        point = LocatedPoint(found.x, found.y, float(found.confidence), accepted=False)
        image, shown = self._images.find(request.image.key), self._results.points.at(key)
        if shown is not None and shown.accepted and shown != request.point:
            self.message.emit(f"{request.target.name}: the point was set meanwhile, and stays.")
        elif image is None:
            self._results.points.keep(key, point)  # shown when the image is
        elif image.data is request.image.source or np.array_equal(image.data, request.image.source):
            self._results.points.show(image, request.target, point)
            self.result_ready.emit(result)
        else:
            self.message.emit("The image has changed, so its result is not shown.")

    def is_pending(self, key: TargetKey) -> bool:
        """Check whether the result of a target that was requested is still to come."""
        return self._pending.newest(key) is not None

    def restore(self, image: Image) -> bool:
        """Show the results of an image that were kept; return whether there are masks."""
        restored = self._results.restore(image)
        self._results.points.restore(image)
        self.mark_outdated()
        for result in restored:
            self.result_ready.emit(result)
        return bool(restored)

    def submit_ahead(self, key: TargetKey, read: Callable[[], LayerData], target: Target) -> None:
        """Request a target of an image that is not shown yet, after all other requests.

        Parameters
        ----------
        key
            The id of the image, and the name of the target.
        read
            Reads the image, in the worker thread.
        target
            The target.
        """
        choices = self._choices
        if self._prompts.at(key).empty and not choices.start_from_mask:
            make = partial(
                SegmentationRequest,
                target=target,
                prompts=self._prompts.at(key),
                compute=choices.compute,
                choice=choices.choice(target),
                adapters_revision=choices.adapters_revision,
                outer_adapter=choices.outer_adapter(target),
            )
            work = partial(self.engine.segment_ahead, key[0], read, make)
            self.worker.submit(("ahead", *key), work, low_priority=True)

    def is_ahead(self, key: TargetKey) -> bool:
        """Check whether a target was requested before its image is shown, and has no result."""
        return ("ahead", *key) in self.worker.pending_keys()

    def _ahead(self) -> list[tuple[str, str, str]]:
        """Return the keys of the jobs that were requested ahead."""
        keys = (key for key in self.worker.pending_keys() if isinstance(key, tuple))
        return [key for key in keys if len(key) == 3 and key[0] == "ahead"]

    def cancel_ahead(self, image_id: str) -> None:
        """Cancel what was requested ahead, but not of one image."""
        ahead = [key for key in self._ahead() if key[1] != image_id]
        if ahead:
            self.worker.cancel(*ahead)

    def _show_failure(self, failure: FailedRequest) -> None:
        key = failure.request.image.key, failure.request.target.name
        if failure.field is not None:
            self._prompts.keep_inside(key, failure.field)  # requests again, with what is left
        self.mark_outdated()
        self._show_error(key, str(failure.error))

    def _show_error(self, key: TargetKey, message: str) -> None:
        self.errors.add(key, message)
        self.message.emit(self.errors.of_image(key[0]))

    def _on_failed(self, key: object, error: BaseException) -> None:
        self._discard(key)
        self.mark_outdated()
        if isinstance(error, Sam2LoraError):
            self.message.emit(str(error))
            return
        message = f"Unexpected error (please report): {type(error).__name__}: {error}"
        if isinstance(key, tuple):  # an image and a target
            self._show_error(key, message)
        else:
            self.message.emit(message)
        notification_manager.receive_error(type(error), error, error.__traceback__)

    def _discard(self, key: object) -> None:
        """Stop waiting for a job that ended, unless a newer one waits under its key."""
        if isinstance(key, tuple) and not self.worker.is_waiting(key):
            self._pending.discard(key)

    def _on_stopped(self, key: object) -> None:
        if isinstance(key, tuple) and key[0] == "ahead":
            return  # the user did not ask for it
        self._discard(key)
        self.mark_outdated()
        self.message.emit("Cancelled.")


class PendingRequests:
    """Requests whose results are still to come, and whether a request is still up to date.

    Parameters
    ----------
    images, prompts, choices
        What a request is made from.
    """

    def __init__(self, images: ImageLayers, prompts: PromptLayers, choices: ModelChoices) -> None:
        self._images, self._prompts, self._choices = images, prompts, choices
        self._pending: dict[TargetKey, SegmentationRequest] = {}

    def add(self, request: SegmentationRequest) -> None:
        """Wait for the result of a request, and no longer for earlier ones of its target."""
        self._pending[request.image.key, request.target.name] = request

    def remove(self, request: SegmentationRequest) -> None:
        """Stop waiting for this request; a newer one of its target stays."""
        key = request.image.key, request.target.name
        if self._pending.get(key) is request:
            del self._pending[key]

    def discard(self, key: object) -> None:
        """Stop waiting for any request with this key."""
        if isinstance(key, tuple):
            self._pending.pop(key, None)

    def all(self) -> list[TargetKey]:
        """Return the images and targets whose result is still to come."""
        return list(self._pending)

    def newest(self, key: TargetKey) -> SegmentationRequest | None:
        """Return the request whose result is still to come, or None."""
        return self._pending.get(key)

    def is_current(self, request: SegmentationRequest) -> bool:
        """Check whether the same would be requested now; later painting does not count."""
        image = self._images.find(request.image.key)
        return (
            image is not None
            and image.data is request.image.source
            and same_prompts(
                self._prompts.at((request.image.key, request.target.name)), request.prompts
            )
            and self._choices.match(request)
        )


class RequestErrors:
    """Why targets have no result, by image and target."""

    def __init__(self) -> None:
        self._messages: dict[TargetKey, str] = {}

    def add(self, key: TargetKey, message: str) -> None:
        """Keep why there is no result, replacing an earlier reason."""
        self._messages[key] = message

    def clear(self, key: TargetKey) -> None:
        """Forget the reason: the target is requested again."""
        self._messages.pop(key, None)

    def keep_only(self, images: Container[str]) -> None:
        """Forget the reasons for all images but those with these ids."""
        self._messages = {key: text for key, text in self._messages.items() if key[0] in images}

    def of_image(self, image_id: str) -> str:
        """Return the reasons for all targets of an image, one per line, or an empty string."""
        return "\n".join(
            f"{target}: {message}"
            for (image, target), message in self._messages.items()
            if image == image_id
        )
