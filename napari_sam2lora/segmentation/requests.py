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
    text
        Device and precision, or why there is none.
    hint
        What is amiss: why there is none, or what to install for a GPU that is there and not used.
    free
        Bytes of memory that are free on a GPU; None where it computes in main memory.
    """

    text: str
    hint: str = ""
    free: int | None = None


@dataclass(frozen=True)
class ModelChoice:
    """How one target is answered.

    Attributes
    ----------
    adapter
        Name or folder; None for the shipped one, else the newest.
    no_adapter
        By the base model alone.
    detail
        How the image is looked at; None: as the adapter was trained.
    """

    adapter: str | None = None
    no_adapter: bool = False
    detail: InputMode | None = None


@dataclass(frozen=True, eq=False)
class SegmentationRequest:
    """What is asked: where a target is in an image.

    Attributes
    ----------
    image, target, prompts
        Of what.
    compute, choice
        By what, and how.
    start_from_mask
        Whether the answer is to start from what is painted, if anything is.
    adapters_revision
        A number that is another when there may be others on the disk.
    """

    image: ImageSnapshot
    target: Target
    prompts: Prompts
    compute: ComputeSettings
    choice: ModelChoice
    start_from_mask: bool = False
    adapters_revision: int = 0


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """The answer to a question.

    Attributes
    ----------
    request
        What was asked.
    task
        How it was answered: the adapter, the geometry, and the threshold that belongs to it.
    prepared
        The image as the network looked at it.
    prediction
        Probabilities, and the IoU the network expects.
    """

    request: SegmentationRequest
    task: "SegmentationTask"
    prepared: "PreparedImage"
    prediction: "TargetPrediction"


@dataclass(frozen=True, eq=False)
class FailedRequest:
    """A question that cannot be answered, and why not.

    Attributes
    ----------
    request, error
        Which, and why.
    field
        `(H, W)` bool: the field of view, where points or a box may lie outside of it.
    """

    request: SegmentationRequest
    error: Sam2LoraError
    field: Mask | None = None
