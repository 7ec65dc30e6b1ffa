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
    photos, prompts, answers
        Of the session.
    question
        Says what would be asked about a target in an image as things are now; it may raise.
    how
        Gives by what, and how, a target would be answered now, and whether from what is painted.

    Signals
    -------
    replied(reply)
        An answer is shown.
    machine_told(computer)
        What computes, and what would be faster.
    said(words)
        Something the user should read.

    Attributes
    ----------
    worker, engine
        What computes, and in which thread.
    troubles
        Why targets have no answer.
    """

    replied = Signal(object)
    machine_told = Signal(object)
    said = Signal(str)

    def __init__(
        self,
        photos: ImageLayers,
        prompts: PromptLayers,
        answers: ResultStore,
        *,
        question: Callable[[Image, Target], SegmentationRequest],
        how: Callable[[Target], tuple[ComputeSettings, ModelChoice, bool]],
    ) -> None:
        super().__init__()
        self.worker, self.engine, self.troubles = Worker(), Engine(), RequestErrors()
        self._photos, self._prompts, self._answers = photos, prompts, answers
        self._question = question
        self._asked = PendingRequests(photos, prompts, how)
        prompts.changed.connect(self._on_prompts)
        answers.numbers.failed.connect(self._on_failed)
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
        self.troubles.settle(place)
        try:
            question = self._question(image, target)
        except Sam2LoraError as error:
            self._say_trouble(place, str(error))
            return
        self._asked.add(question)
        self.worker.ask(place, partial(self.engine.try_to_answer, question))

    def segment_files(
        self, settings: Sequence[PredictSettings], machine: ComputeSettings, *, key: str
    ) -> None:
        """Segment files, questions going first; the worker yields what becomes of each."""
        work = partial(self.engine.segment_files, settings, machine)
        self.worker.ask(key, work, patient=True)

    def cancel(self, *keys: str) -> None:
        """Stop what was asked for: all of it, or what goes by these keys."""
        self.worker.cancel(*keys, but=_MACHINE)

    def obstacle(self, reply: SegmentationResult) -> str:
        """Say why an answer must not be accepted now; empty if it may be."""
        question = reply.question
        if self._asked.newest((question.photo.key, question.target.name)) is not None:
            return "The newest answer is still coming. Accept it when it is there."
        if not self._asked.is_present(question):
            return (
                "This answer is older than what is chosen and clicked now. Press Segment for a new "
                "one first."
            )
        return ""

    def mark_old(self) -> None:
        """Tell previews that are out of date from those that are not, or will be soon."""
        for place, reply in self._answers.replies.items():
            coming = self._asked.newest(place) is not None
            old = not coming and not self._asked.is_present(reply.question)
            self._answers.mark(place, old=old)

    def close(self) -> None:
        """End the work."""
        self.worker.close()
        self.engine.let_go()

    def _on_prompts(self, place: TargetKey) -> None:
        self.troubles.settle(place)
        image = self._photos.find(place[0])
        if image is None:
            return
        field = self._answers.field_of(image)
        if field is not None:
            try:
                self._prompts.at(place).check_inside(field)
            except GeometryError as error:
                # Not now: napari is in the middle of adding the point or the rectangle.
                QTimer.singleShot(0, partial(self._take_back, place, field, str(error)))
                return
        newest = self._asked.newest(place)
        if newest is None and place in self._answers.replies:
            newest = self._answers.replies[place].question
        if newest is None or not self._asked.is_present(newest):
            self.ask(image, get_target(place[1]))
        self.mark_old()

    def _take_back(self, place: TargetKey, field: Mask, words: str) -> None:
        """Take away what lies outside, and say so, for longer than the next answer takes."""
        self._prompts.keep_inside(place, field)
        self._say_trouble(place, words)

    def _on_done(self, key: object, result: object) -> None:
        if isinstance(result, SegmentationResult | FailedRequest):
            self._asked.end(key, result.question)
        if isinstance(result, SegmentationResult):
            self._show(result)
        elif isinstance(result, FailedRequest):
            self._refuse(result)
        elif isinstance(result, DeviceInfo):
            self.machine_told.emit(result)

    def _show(self, reply: SegmentationResult) -> None:
        image = self._photos.find(reply.question.photo.key)
        if image is None or image.data is not reply.question.photo.source:
            # It was closed, or became another, while its answer was on the way.
            self.said.emit("The image is not there any more as it was, so its answer is not shown.")
            return
        self._answers.show(image, reply)
        self.mark_old()
        self.replied.emit(reply)

    def _refuse(self, refused: FailedRequest) -> None:
        place = refused.question.photo.key, refused.question.target.name
        if refused.field is not None:
            self._prompts.keep_inside(place, refused.field)  # asks anew, with what is left
        self.mark_old()
        self._say_trouble(place, str(refused.error))

    def _say_trouble(self, place: TargetKey, words: str) -> None:
        self.troubles.note(place, words)
        self.said.emit(self.troubles.of_image(place[0]))

    def _on_failed(self, key: object, error: BaseException) -> None:
        self._asked.end(key)
        self.mark_old()
        if isinstance(error, Sam2LoraError):
            self.said.emit(str(error))
            return
        words = f"This went wrong, and it is a defect: {type(error).__name__}: {error}"
        if isinstance(key, tuple):  # an image and a target
            self._say_trouble(key, words)
        else:
            self.said.emit(words)
        notification_manager.receive_error(type(error), error, error.__traceback__)

    def _on_stopped(self, key: object) -> None:
        self._asked.end(key)
        self.mark_old()
        self.said.emit("Cancelled.")


class PendingRequests:
    """The questions of one session that are not answered yet.

    Parameters
    ----------
    photos, prompts
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
        self._photos, self._prompts, self._how = photos, prompts, how
        self._open: dict[TargetKey, SegmentationRequest] = {}

    def add(self, question: SegmentationRequest) -> None:
        """Wait for the answer to a question, and no longer to those before it."""
        self._open[question.photo.key, question.target.name] = question

    def end(self, key: Any, question: SegmentationRequest | None = None) -> None:
        """Wait no longer for the answer to this question, or to any at this place."""
        if question is None or self._open.get(key) is question:
            self._open.pop(key, None)

    def newest(self, place: TargetKey) -> SegmentationRequest | None:
        """Give the question whose answer is still to come."""
        return self._open.get(place)

    def is_present(self, question: SegmentationRequest) -> bool:
        """Tell whether the same would be asked now; what was painted since is another matter."""
        key, target = question.photo.key, question.target
        image = self._photos.find(key)
        return (
            image is not None
            and image.data is question.photo.source
            and same_prompts(self._prompts.at((key, target.name)), question.prompts)
            and self._how(target) == (question.machine, question.choice, question.painted)
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
