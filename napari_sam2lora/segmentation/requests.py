"""Questions to a network, and its replies, as they go to the worker's thread and back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_sam2lora.layers.images import Photo
from sam2lora.errors import Sam2LoraError
from sam2lora.prompts.user_prompts import ImagePrompts
from sam2lora.settings import PrecisionChoice
from sam2lora.targets import Detail, Target
from sam2lora.types import Mask

if TYPE_CHECKING:
    from sam2lora.inference.prepared_image import Scene
    from sam2lora.inference.segment import Segmented, Task


@dataclass(frozen=True)
class Machine:
    """What computes: a base model, by name or path, on a device, in a precision."""

    model: str = "nano"
    device: str = "auto"
    precision: PrecisionChoice = "auto"


@dataclass(frozen=True)
class Computer:
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
    painted
        Whether the answer is to start from what is painted, if anything is.
    adapters
        A number that is another when there may be others on the disk.
    """

    photo: Photo
    target: Target
    prompts: ImagePrompts
    machine: Machine
    choice: Choice
    painted: bool = False
    adapters: int = 0


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
    """

    question: Question
    task: "Task"
    scene: "Scene"
    segmented: "Segmented"


@dataclass(frozen=True, eq=False)
class Refusal:
    """A question that cannot be answered, and why not.

    Attributes
    ----------
    question, error
        Which, and why.
    field
        `(H, W)` bool: the field of view, where points or a box may lie outside of it.
    """

    question: Question
    error: Sam2LoraError
    field: Mask | None = None
