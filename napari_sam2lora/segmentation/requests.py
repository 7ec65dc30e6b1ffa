"""Questions to a network, and its replies, as they go to the worker's thread and back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2lora.layers.images import ImageSnapshot
from sam2lora.errors import Sam2LoraError
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import PrecisionChoice
from sam2lora.targets import InputMode, Target
from sam2lora.types import Mask

if TYPE_CHECKING:
    from sam2lora.inference.prepared_image import PreparedImage
    from sam2lora.inference.segment import SegmentationTask, TargetPrediction


@dataclass(frozen=True)
class ComputeSettings:
    """What computes: a base model, by name or path, on a device, in a precision."""

    model: str = "nano"
    device: str = "auto"
    precision: PrecisionChoice = "auto"


@dataclass(frozen=True)
class DeviceInfo:
    """What a machine computes on, as found out by torch.

    Attributes
    ----------
    words
        Device and precision, or why there is none.
    hint
        What is amiss: why there is none, or what to install for a GPU that is there and not used.
    free
        Bytes of memory that are free on a GPU; None where it computes in main memory.
    """

    words: str
    hint: str = ""
    free: int | None = None


@dataclass(frozen=True)
class ModelChoice:
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
    detail: InputMode | None = None


@dataclass(frozen=True, eq=False)
class SegmentationRequest:
    """What is asked: where a target is in an image.

    Attributes
    ----------
    photo, target, prompts
        Of what.
    machine, choice
        By what, and how.
    painted
        Whether the answer is to start from what is painted, if anything is.
    adapters
        A number that is another when there may be others on the disk.
    """

    photo: ImageSnapshot
    target: Target
    prompts: Prompts
    machine: ComputeSettings
    choice: ModelChoice
    painted: bool = False
    adapters: int = 0


@dataclass(frozen=True, eq=False)
class SegmentationResult:
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
    """

    question: SegmentationRequest
    task: "SegmentationTask"
    scene: "PreparedImage"
    segmented: "TargetPrediction"


@dataclass(frozen=True, eq=False)
class FailedRequest:
    """A question that cannot be answered, and why not.

    Attributes
    ----------
    question, error
        Which, and why.
    field
        `(H, W)` bool: the field of view, where points or a box may lie outside of it.
    """

    question: SegmentationRequest
    error: Sam2LoraError
    field: Mask | None = None
