"""What a session asks the network, and what it does with that which comes back."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from napari.layers import Image
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.layers.images import ImageLayers
from napari_sam2lora.layers.metadata import TargetKey, ensure_image_id
from napari_sam2lora.layers.prompt_history import same_prompts
from napari_sam2lora.layers.prompts import PromptLayers
from napari_sam2lora.qt.worker import Worker
from napari_sam2lora.segmentation.engine import Engine
from napari_sam2lora.segmentation.requests import (
    ComputeSettings,
    DeviceInfo,
    FailedRequest,
    ModelChoice,
    SegmentationRequest,
    SegmentationResult,
)
from napari_sam2lora.segmentation.results import ResultStore
from sam2lora.errors import GeometryError, Sam2LoraError
from sam2lora.inference.settings import PredictSettings
from sam2lora.targets import Target, get_target
from sam2lora.types import Mask

_MACHINE = "machine"


class RequestQueue(QObject):
    """The questions of one session, from the first prompt to the answer that is shown.

    Parameters
    ----------
    images, prompts, results
        Of the session.
    request
        Says what would be asked about a target in an image as things are now; it may raise.
    how
        Gives by what, and how, a target would be answered now, and whether from what is painted.

    Signals
    -------
    result_ready(reply)
        An answer is shown.
    device_ready(computer)
        What computes, and what would be faster.
    message(words)
        Something the user should read.

    Attributes
    ----------
    worker, engine
        What computes, and in which thread.
    errors
        Why targets have no answer.
    """

    result_ready = Signal(object)
    device_ready = Signal(object)
    message = Signal(str)

    def __init__(
        self,
        photos: ImageLayers,
        prompts: PromptLayers,
        answers: ResultStore,
        *,
        request: Callable[[Image, Target], SegmentationRequest],
        how: Callable[[Target], tuple[ComputeSettings, ModelChoice, bool]],
    ) -> None:
        super().__init__()
        self.worker, self.engine, self.errors = Worker(), Engine(), RequestErrors()
        self._images_by_id, self._prompts, self._results = photos, prompts, answers
        self._question = request
        self._asked = PendingRequests(photos, prompts, how)
        prompts.changed.connect(self._on_prompts)
        answers.live_measurements.failed.connect(self._on_failed)
        self.worker.done.connect(self._on_done)
        self.worker.failed.connect(self._on_failed)
        self.worker.stopped.connect(self._on_stopped)

    def describe(self, machine: ComputeSettings) -> None:
        """Load torch meanwhile, and find out what it computes on."""
        self.worker.ask(_MACHINE, partial(self.engine.describe, machine))

    def free_memory(self) -> None:
        """Give the memory of the network back once what is asked is answered."""
        self.worker.ask("memory", self.engine.free)

    def ask(self, image: Image, target: Target) -> None:
        """Ask for a target in an image, with what is said about it, or say why that cannot be."""
        place = ensure_image_id(image), target.name
        self.errors.settle(place)
        try:
            request = self._question(image, target)
        except Sam2LoraError as error:
            self._say_trouble(place, str(error))
            return
        self._asked.add(request)
        self.worker.ask(place, partial(self.engine.try_segment, request))

    def segment_files(
        self, settings: Sequence[PredictSettings], machine: ComputeSettings, *, key: str
    ) -> None:
        """Segment files, questions going first; the worker yields what becomes of each."""
        work = partial(self.engine.segment_files, settings, machine)
        self.worker.ask(key, work, patient=True)

    def cancel(self, *keys: str) -> None:
        """Stop what was asked for: all of it, or what goes by these keys."""
        self.worker.cancel(*keys, but=_MACHINE)

    def obstacle(self, result: SegmentationResult) -> str:
        """Say why an answer must not be accepted now; empty if it may be."""
        request = result.request
        if self._asked.newest((request.image.key, request.target.name)) is not None:
            return "The newest answer is still coming. Accept it when it is there."
        if not self._asked.is_present(request):
            return (
                "This answer is older than what is chosen and clicked now. Press Segment for a new "
                "one first."
            )
        return ""

    def mark_old(self) -> None:
        """Tell previews that are out of date from those that are not, or will be soon."""
        for place, result in self._results.latest.items():
            coming = self._asked.newest(place) is not None
            old = not coming and not self._asked.is_present(result.request)
            self._results.mark(place, old=old)

    def close(self) -> None:
        """End the work."""
        self.worker.close()
        self.engine.release()

    def _on_prompts(self, place: TargetKey) -> None:
        self.errors.settle(place)
        image = self._images_by_id.find(place[0])
        if image is None:
            return
        field = self._results.field_of(image)
        if field is not None:
            try:
                self._prompts.at(place).check_inside(field)
            except GeometryError as error:
                # Not now: napari is in the middle of adding the point or the rectangle.
                QTimer.singleShot(0, partial(self._take_back, place, field, str(error)))
                return
        newest = self._asked.newest(place)
        if newest is None and place in self._results.latest:
            newest = self._results.latest[place].request
        if newest is None or not self._asked.is_present(newest):
            self.ask(image, get_target(place[1]))
        self.mark_old()

    def _take_back(self, place: TargetKey, field: Mask, words: str) -> None:
        """Take away what lies outside, and say so, for longer than the next answer takes."""
        self._prompts.keep_inside(place, field)
        self._say_trouble(place, words)

    def _on_done(self, key: object, result: object) -> None:
        if isinstance(result, SegmentationResult | FailedRequest):
            self._asked.end(key, result.request)
        if isinstance(result, SegmentationResult):
            self._show(result)
        elif isinstance(result, FailedRequest):
            self._refuse(result)
        elif isinstance(result, DeviceInfo):
            self.device_ready.emit(result)

    def _show(self, result: SegmentationResult) -> None:
        image = self._images_by_id.find(result.request.image.key)
        if image is None or image.data is not result.request.image.source:
            # It was closed, or became another, while its answer was on the way.
            self.message.emit(
                "The image is not there any more as it was, so its answer is not shown."
            )
            return
        self._results.show(image, result)
        self.mark_old()
        self.result_ready.emit(result)

    def _refuse(self, refused: FailedRequest) -> None:
        place = refused.request.image.key, refused.request.target.name
        if refused.field is not None:
            self._prompts.keep_inside(place, refused.field)  # asks anew, with what is left
        self.mark_old()
        self._say_trouble(place, str(refused.error))

    def _say_trouble(self, place: TargetKey, words: str) -> None:
        self.errors.note(place, words)
        self.message.emit(self.errors.of_image(place[0]))

    def _on_failed(self, key: object, error: BaseException) -> None:
        self._asked.end(key)
        self.mark_old()
        if isinstance(error, Sam2LoraError):
            self.message.emit(str(error))
            return
        words = f"This went wrong, and it is a defect: {type(error).__name__}: {error}"
        if isinstance(key, tuple):  # an image and a target
            self._say_trouble(key, words)
        else:
            self.message.emit(words)
        notification_manager.receive_error(type(error), error, error.__traceback__)

    def _on_stopped(self, key: object) -> None:
        self._asked.end(key)
        self.mark_old()
        self.message.emit("Cancelled.")


class PendingRequests:
    """The questions of one session that are not answered yet.

    Parameters
    ----------
    images, prompts
        Of the session.
    how
        Gives by what, and how, a target would be answered now, and whether from what is painted.
    """

    def __init__(
        self,
        photos: ImageLayers,
        prompts: PromptLayers,
        how: Callable[[Target], tuple[ComputeSettings, ModelChoice, bool]],
    ) -> None:
        self._images_by_id, self._prompts, self._how = photos, prompts, how
        self._open: dict[TargetKey, SegmentationRequest] = {}

    def add(self, request: SegmentationRequest) -> None:
        """Wait for the answer to a question, and no longer to those before it."""
        self._open[request.image.key, request.target.name] = request

    def end(self, key: Any, request: SegmentationRequest | None = None) -> None:
        """Wait no longer for the answer to this question, or to any at this place."""
        if request is None or self._open.get(key) is request:
            self._open.pop(key, None)

    def newest(self, place: TargetKey) -> SegmentationRequest | None:
        """Give the question whose answer is still to come."""
        return self._open.get(place)

    def is_present(self, request: SegmentationRequest) -> bool:
        """Tell whether the same would be asked now; what was painted since is another matter."""
        key, target = request.image.key, request.target
        image = self._images_by_id.find(key)
        return (
            image is not None
            and image.data is request.image.source
            and same_prompts(self._prompts.at((key, target.name)), request.prompts)
            and self._how(target) == (request.compute, request.choice, request.start_from_mask)
        )


class RequestErrors:
    """What stood in the way of answers, by image and target."""

    def __init__(self) -> None:
        self._words: dict[TargetKey, str] = {}

    def note(self, place: TargetKey, words: str) -> None:
        """Keep why there is no answer, in place of what was kept before."""
        self._words[place] = words

    def settle(self, place: TargetKey) -> None:
        """Forget it: the target is asked about again."""
        self._words.pop(place, None)

    def of_image(self, key: str) -> str:
        """Give what is kept about the targets of an image, a line each; empty if there is none."""
        lines = [f"{target}: {words}" for (of, target), words in self._words.items() if of == key]
        return "\n".join(lines)
