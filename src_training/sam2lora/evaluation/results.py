"""What became of one image under one prompt regime."""

from dataclasses import dataclass, field
from typing import Literal

from sam2lora.arrays import Mask
from sam2lora.evaluation.judging import Judgement
from sam2lora.image_prompts import ImagePrompts

Status = Literal["scored", "failed", "not drawn"]


@dataclass(frozen=True, eq=False)
class Result:
    """What became of one image under one prompt regime.

    Attributes
    ----------
    dataset, image, patient
        Which image.
    regime
        Which prompts, by the name of their regime.
    status
        scored; failed: it could not be read or segmented; not drawn: it has no such prompts, for
        instance because the target is not in it.
    problem
        Why it is not scored.
    prompts
        What was said, in pixels of `answer`.
    judgement
        What the answer is worth.
    answer, truth
        `(H, W)` bool at the protocol's size, without what is not judged.
    expected_iou
        The IoU that the network expected.
    seconds
        Reading excluded.
    """

    dataset: str
    image: str
    patient: str
    regime: str
    status: Status = "scored"
    problem: str = ""
    prompts: ImagePrompts = field(default_factory=ImagePrompts)
    judgement: Judgement | None = None
    answer: Mask | None = None
    truth: Mask | None = None
    expected_iou: float | None = None
    seconds: float = 0.0
