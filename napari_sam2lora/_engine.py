"""Everything a session needs torch for. Only its worker thread may use it; it knows no window.

The networks, images and adapters in use are kept, so that the next prompt finds them ready.
"""

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_sam2lora._torch import load_torch
from napari_sam2lora._worker import Report
from sam2lora.adapters import Adapter
from sam2lora.arrays import Pixels
from sam2lora.errors import DeviceError
from sam2lora.image_prompts import ImagePrompts
from sam2lora.settings import PrecisionChoice
from sam2lora.targets import Detail, Target

if TYPE_CHECKING:
    from sam2lora.batch import Segmented, Task
    from sam2lora.predictor import Predictor
    from sam2lora.scene import Scene

_SCENES = 4  # images whose fields of view are kept; features have a cache of their own


@dataclass(frozen=True, eq=False)
class Photo:
    """An image of the viewer as it was when something was asked about it.

    Attributes
    ----------
    key
        What its layers name it by.
    pixels
        `(H, W, 3)` uint8 RGB.
    source
        The layer's own data, which tell whether it has changed since.
    spacing
        Millimetres per pixel (row, column), where known.
    """

    key: str
    pixels: Pixels
    source: Any
    spacing: tuple[float, float] | None = None


@dataclass(frozen=True)
class Machine:
    """What computes: a base model, by name or path, on a device, in a precision."""

    model: str = "nano"
    device: str = "auto"
    precision: PrecisionChoice = "auto"


@dataclass(frozen=True)
class Choice:
    """How one target is answered.

    Attributes
    ----------
    adapter
        Name or folder; None for the shipped one, else the newest.
    bare
        By the base model alone.
    detail
        How the image is looked at; None: as the adapter was trained.
    """

    adapter: str | None = None
    bare: bool = False
    detail: Detail | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked: where a target is in an image.

    Attributes
    ----------
    photo, target, prompts
        Of what.
    machine, choice
        By what, and how.
    """

    photo: Photo
    target: Target
    prompts: ImagePrompts
    machine: Machine
    choice: Choice


@dataclass(frozen=True, eq=False)
class Reply:
    """The answer to a question.

    Attributes
    ----------
    question
        What was asked.
    task
        How it was answered: the adapter, the geometry, and the threshold that belongs to it.
    scene
        The image as the network looked at it.
    segmented
        Probabilities, and the IoU the network expects.
    note
        A sentence that has to be shown with it, or nothing.
    """

    question: Question
    task: "Task"
    scene: "Scene"
    segmented: "Segmented"
    note: str


class Engine:
    """The predictor in use, and what it was asked about last."""

    def __init__(self) -> None:
        self._machine: Machine | None = None
        self._predictor: Predictor | None = None
        self._scenes: OrderedDict[str, tuple[Photo, Scene]] = OrderedDict()
        self._adapters: dict[tuple[Any, ...], Adapter | None] = {}

    def forget_adapters(self, report: Report) -> None:
        """Look adapters up again from now on: others are on the disk."""
        self._adapters = {}

    def describe(self, machine: Machine, report: Report) -> str:
        """Say what computes, and which torch to install where a GPU is not used."""
        report("Loading PyTorch", 0, None)
        load_torch()
        from sam2lora.device import choose_device, choose_precision, gpu_hint

        try:
            device = choose_device(machine.device)
            precision = choose_precision(machine.precision, device)
        except DeviceError as error:
            return str(error)
        return " ".join(filter(None, (f"Computes on {device} in {precision}.", gpu_hint())))

    def answer(self, question: Question, report: Report) -> Reply:
        """Answer a question.

        Raises
        ------
        Sam2LoraError
            If the model, the adapter, the device or the prompts do not allow it.
        Stopped
            If it was cancelled.
        """
        predictor = self.predictor(question.machine, report)
        from sam2lora.batch import Task, segment_scene

        target = question.target
        task = Task.of(
            target,
            adapter=self._adapter(question, predictor),
            prompts=question.prompts,
            detail=question.choice.detail,
        )
        scene = self._scene(question.photo)
        show = partial(report, f"Looking for {target.name}")
        segmented = segment_scene(predictor, scene, [task], progress=show)[target.name]
        return Reply(question, task, scene, segmented, predictor.base.note)

    def predictor(self, machine: Machine, report: Report) -> "Predictor":
        """Give the predictor for a machine, loading torch and the base model if need be.

        Raises
        ------
        Sam2LoraError
            If the model cannot be had, or the device is not there.
        Stopped
            If a download was cancelled.
        """
        if self._predictor is not None and machine == self._machine:
            return self._predictor
        report("Loading PyTorch", 0, None)
        load_torch()
        from sam2lora.base_models import load_base
        from sam2lora.device import release_memory
        from sam2lora.predictor import Predictor

        report(f"Loading {machine.model}", 0, None)
        base = load_base(machine.model, progress=partial(report, f"Downloading {machine.model}"))
        old, self._predictor = self._predictor, None
        if old is not None:
            device = old.device
            del old
            release_memory(device)
        predictor = Predictor(base, device=machine.device, precision=machine.precision)
        self._machine, self._predictor, self._adapters = machine, predictor, {}
        return predictor

    def _adapter(self, question: Question, predictor: "Predictor") -> Adapter | None:
        """Choose the adapter; the same object each time, which spares reading its files again."""
        from sam2lora.predicting import adapter_for

        prompted = not question.prompts.empty
        key = (question.target, question.choice, prompted)
        if key not in self._adapters:
            found = adapter_for(
                predictor.base,
                question.target,
                named=question.choice.adapter,
                bare=question.choice.bare,
                prompted=prompted,
            )
            same = (one for one in self._adapters.values() if one == found)
            self._adapters[key] = next(same, found)
        return self._adapters[key]

    def _scene(self, photo: Photo) -> "Scene":
        """Look at an image; its field of view is found as `sam2lora predict` finds it."""
        from sam2lora.scene import Scene

        kept = self._scenes.pop(photo.key, None)
        if kept is None or kept[0].pixels is not photo.pixels:
            kept = (photo, Scene.of(photo.pixels))
        self._scenes[photo.key] = kept
        while len(self._scenes) > _SCENES:
            self._scenes.popitem(last=False)
        return kept[1]
