"""Segment the targets of one image, from tasks that say how each is predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sam2lora.adapters import Adapter
from sam2lora.adapters.selection import geometry_of
from sam2lora.inference.predictor import NO_PROMPTS, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.tta import predict_with_flips
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.targets import InputMode, Target
from sam2lora.transforms.windows import Values
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress


@dataclass(frozen=True, eq=False)
class SegmentationTask:
    """One target to segment, and how.

    Attributes
    ----------
    target
        What.
    geometry
        How the image is looked at.
    threshold
        Probability from which a pixel belongs to the target.
    adapter
        What answers; None for the bare base.
    prompts
        The same for every image; for one image, where the user pointed.
    tta
        Whether the answers to mirror images are averaged, which takes four times as long.
    """

    target: Target
    geometry: GeometrySettings
    threshold: float
    adapter: Adapter | None = None
    prompts: Prompts = NO_PROMPTS
    tta: bool = False

    @classmethod
    def of(
        cls,
        target: Target,
        *,
        adapter: Adapter | None = None,
        prompts: Prompts = NO_PROMPTS,
        detail: InputMode | None = None,
        threshold: float | None = None,
        flips: bool = False,
    ) -> Self:
        """Segment a target the way its adapter was trained to, or else as it usually is.

        Parameters
        ----------
        target, adapter, prompts, flips
            As the attributes.
        detail, threshold
            Where they are given, they go before the adapter's and the target's own.
        """
        geometry = geometry_of(target, adapter, detail)
        usual = target.threshold if adapter is None else adapter.card.threshold
        chosen = usual if threshold is None else threshold
        return cls(target, geometry, chosen, adapter, prompts, flips)


@dataclass(frozen=True, eq=False)
class TargetPrediction:
    """One target's answer in one image.

    Attributes
    ----------
    mask
        `(H, W)` bool, nothing outside the field of view.
    probabilities
        `(H, W)` float32 in 0…1.
    iou
        The IoU the network expects.
    """

    mask: Mask
    probabilities: Values
    iou: float


def segment_prepared(
    predictor: Predictor,
    prepared: PreparedImage,
    tasks: Sequence[SegmentationTask],
    *,
    progress: Progress = no_progress,
) -> dict[str, TargetPrediction]:
    """Segment every target of one image; `progress` is called as by `Predictor.answer`, for each.

    Raises
    ------
    AdapterError
        If an adapter is damaged or for another base model.
    GeometryError
        If a prompt lies outside the image or its field of view.
    DeviceError
        If the memory does not suffice.
    """
    segmented = {}
    for task in tasks:
        predictor.set_adapter(task.adapter)
        if task.tta:
            answer = predict_with_flips(
                predictor, prepared, task.geometry, task.prompts, progress=progress
            )
        else:
            answer = predictor.predict(prepared, task.geometry, task.prompts, progress=progress)
        segmented[task.target.name] = TargetPrediction(
            answer.mask(task.threshold), answer.probabilities, answer.iou
        )
    return segmented
