"""Requests and results, as they pass between the main thread and the worker thread."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2lora.layers.images import ImageSnapshot
from napari_sam2lora.layers.points import LocatedPoint
from sam2lora.errors import Sam2LoraError
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import PrecisionChoice
from sam2lora.targets import InputMode, Target
from sam2lora.types import Mask

if TYPE_CHECKING:
    from sam2lora.inference.points import PointPrediction
    from sam2lora.inference.prepared_image import PreparedImage
    from sam2lora.inference.segment import SegmentationTask, TargetPrediction


@dataclass(frozen=True)
class ComputeSettings:
    """What the network runs on: base model (name or path), device, precision."""

    model: str = "nano"
    device: str = "auto"
    precision: PrecisionChoice = "auto"


@dataclass(frozen=True)
class DeviceInfo:
    """What the network runs on, as torch reports it.

    Attributes
    ----------
    text
        Device and precision, or why there is none.
    hint
        A problem: why there is no device, or what to install to use the GPU.
    free
        Free bytes on the GPU; None on a CPU.
    """

    text: str
    hint: str = ""
    free: int | None = None


@dataclass(frozen=True)
class ModelChoice:
    """How one target is segmented.

    Attributes
    ----------
    adapter
        Name or folder; None for the shipped one, else the newest.
    no_adapter
        Whether the base model segments without adapter.
    detail
        Input mode; None: as the adapter was trained.
    """

    adapter: str | None = None
    no_adapter: bool = False
    detail: InputMode | None = None


@dataclass(frozen=True, eq=False)
class SegmentationRequest:
    """One target of one image, with its prompts and what segments it.

    Attributes
    ----------
    image, target, prompts
        What is segmented.
    compute, choice
        What segments it.
    start_from_mask
        Whether the painted mask is among the prompts.
    adapters_revision
        Changes whenever adapters on the disk may have changed.
    outer_adapter
        The adapter chosen for the target that this one lies in, as the disc for the cup.
    outer_mask
        `(H, W)` bool: the mask of that target in the viewer; None: the adapter finds it.
    threshold
        The threshold of the mask that points correct; None: the default one. Moving it later
        changes what is shown, and outdates nothing.
    point
        Of a target that is a point: the one that is shown, and may be replaced.
    """

    image: ImageSnapshot
    target: Target
    prompts: Prompts
    compute: ComputeSettings
    choice: ModelChoice
    start_from_mask: bool = False
    adapters_revision: int = 0
    outer_adapter: str | None = None
    outer_mask: Mask | None = None
    threshold: float | None = None
    point: LocatedPoint | None = None


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """The result of a request.

    Attributes
    ----------
    request
        The request.
    task
        How it was segmented: adapter, geometry, and their threshold.
    prepared
        The image with its field of view.
    prediction
        Probabilities and predicted IoU.
    """

    request: SegmentationRequest
    task: "SegmentationTask"
    prepared: "PreparedImage"
    prediction: "TargetPrediction"


@dataclass(frozen=True, eq=False)
class LocatedResult:
    """The result of a request for a target that is a point.

    Attributes
    ----------
    request
        The request.
    prediction
        The place, and how sure it is.
    """

    request: SegmentationRequest
    prediction: "PointPrediction"


@dataclass(frozen=True, eq=False)
class FailedRequest:
    """A request that failed.

    Attributes
    ----------
    request, error
        The request, and why it failed.
    field
        `(H, W)` bool: the field of view, where prompts may lie outside of it.
    """

    request: SegmentationRequest
    error: Sam2LoraError
    field: Mask | None = None
