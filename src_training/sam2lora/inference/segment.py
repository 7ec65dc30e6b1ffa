"""Segment the targets of one image; a task holds the adapter, input mode and threshold of each."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, Self

import numpy as np

from sam2lora.adapters import Adapter
from sam2lora.adapters.selection import geometry_of
from sam2lora.inference.clicks import predict_with_clicks, text_of
from sam2lora.inference.corrections import refiner_kind
from sam2lora.inference.predictor import NO_PROMPTS, Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.tta import predict_augmented
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import FieldSizes, GeometrySettings
from sam2lora.targets import InputMode, Target
from sam2lora.transforms.windows import Values
from sam2lora.transforms.zoom import BoundingBox
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress

PointUse = Literal["correct", "start", "prompt"]
"""What is done with the points of a prompt."""

_NOTHING: Mapping[str, Mask] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class SegmentationTask:
    """One target to segment, and how.

    Attributes
    ----------
    target
        The structure to segment.
    geometry
        The input mode and its parameters.
    threshold
        Probability from which a pixel belongs to the target.
    adapter
        The adapter to predict with; None for the base model without adapter.
    prompts
        Points, box and previous mask; usually empty if there are several images.
    tta
        Whether predictions of mirror images are averaged, which takes four times as long.
    field_sizes
        Diameters of the field of view for tiles, over which predictions are averaged, instead of
        that of the geometry.
    outer
        How the target that this one lies in is found; None if it lies in none, or nothing finds
        that. This one is then looked for there, and clipped to it.
    points
        Whether points correct the prediction without prompts one after the other, or the first one
        starts a prediction that the others correct, or all are prompts of one prediction.
    """

    target: Target
    geometry: GeometrySettings
    threshold: float
    adapter: Adapter | None = None
    prompts: Prompts = NO_PROMPTS
    tta: bool = False
    field_sizes: FieldSizes = ()
    outer: "SegmentationTask | None" = None
    points: PointUse = "correct"

    @classmethod
    def of(
        cls,
        target: Target,
        *,
        adapter: Adapter | None = None,
        prompts: Prompts = NO_PROMPTS,
        detail: InputMode | None = None,
        threshold: float | None = None,
        tta: bool = False,
        field_sizes: FieldSizes = (),
        outer: "SegmentationTask | None" = None,
    ) -> Self:
        """Create a task with the defaults of the adapter, or of the target without adapter.

        Parameters
        ----------
        target, adapter, prompts, tta, field_sizes, outer
            See the attributes.
        detail
            Input mode; None takes the default.
        threshold
            Probability from which a pixel belongs to the target; None takes the default.
        """
        geometry = geometry_of(target, adapter, detail)
        if threshold is None:
            threshold = target.threshold if adapter is None else adapter.card.threshold
        return cls(target, geometry, threshold, adapter, prompts, tta, field_sizes, outer)


@dataclass(frozen=True, eq=False)
class TargetPrediction:
    """The mask and probabilities of one target in one image.

    Attributes
    ----------
    mask
        `(H, W)` bool, nothing outside the field of view.
    probabilities
        `(H, W)` float32 in 0…1.
    iou
        The predicted IoU, 0…1.
    """

    mask: Mask
    probabilities: Values
    iou: float


def segment_prepared(
    predictor: Predictor,
    prepared: PreparedImage,
    tasks: Sequence[SegmentationTask],
    *,
    known: Mapping[str, Mask] = _NOTHING,
    progress: Progress = no_progress,
) -> dict[str, TargetPrediction]:
    """Segment every target of one image.

    A target that lies in another one, as the cup in the disc, is looked for in the crop around
    that, and nothing of it is outside; unless a prompt is. Where both are segmented, it is looked
    for in the result of the other.

    Parameters
    ----------
    predictor
        The network; its active adapter is changed.
    prepared
        The image.
    tasks
        One for each target.
    known
        Masks `(H, W)` of targets that are known, by name: in these, those that lie in them are
        looked for.
    progress
        Called as by `Predictor.predict`, starting again for each target, and for each that one of
        them lies in and that is neither known nor among the tasks.

    Returns
    -------
    The result of each target, by its name.

    Raises
    ------
    AdapterError
        If an adapter is damaged or for another base model.
    GeometryError
        If a prompt lies outside the image or its field of view.
    DeviceError
        If there is not enough memory.
    """
    found: dict[str, TargetPrediction] = {}
    for task in outer_first(tasks):
        masks = {**known, **{name: one.mask for name, one in found.items()}}
        found[task.target.name] = _predict(predictor, prepared, task, masks, progress)
    return {task.target.name: found[task.target.name] for task in tasks}


def outer_first(tasks: Sequence[SegmentationTask]) -> list[SegmentationTask]:
    """Return tasks so that a target comes before those that lie in it."""
    return sorted(tasks, key=_depth)


def _depth(task: SegmentationTask) -> int:
    """Return in how many targets that of a task lies."""
    if task.target.inside is None:
        return 0
    return 1 if task.outer is None else 1 + _depth(task.outer)


def _predict(
    predictor: Predictor,
    prepared: PreparedImage,
    task: SegmentationTask,
    known: Mapping[str, Mask],
    progress: Progress,
) -> TargetPrediction:
    """Predict the target of one task, and correct the prediction at each of its points."""
    if task.prompts.outline or (task.prompts.points and task.points != "prompt"):
        found = _predict_corrected(predictor, prepared, task, known, progress)
    else:
        found = _predict_start(predictor, prepared, task, known, progress)
    return TargetPrediction(found.mask(task.threshold), found.probabilities, found.iou)


def _predict_corrected(
    predictor: Predictor,
    prepared: PreparedImage,
    task: SegmentationTask,
    known: Mapping[str, Mask],
    progress: Progress,
) -> Prediction:
    """Predict the target of one task, corrected at each of its points."""
    key = _key(predictor, prepared, task, known)

    def start(prompts: Prompts) -> Prediction:
        return _predict_start(predictor, prepared, replace(task, prompts=prompts), known, progress)

    return predict_with_clicks(
        predictor,
        prepared,
        task.geometry,
        task.prompts,
        kind=refiner_kind(task.target),
        threshold=task.threshold,
        automatic=task.points == "correct" and task.adapter is not None,
        start=start,
        key=key,
    )


def _predict_start(
    predictor: Predictor,
    prepared: PreparedImage,
    task: SegmentationTask,
    known: Mapping[str, Mask],
    progress: Progress,
) -> Prediction:
    """Predict the target of one task, in the target that it lies in."""
    inside = known.get(task.target.inside or "")
    if inside is None and task.outer is not None:
        inside = _predict(predictor, prepared, task.outer, known, progress).mask
    if inside is not None and not task.prompts.empty and not _are_inside(task.prompts, inside):
        inside = None  # the user sees it elsewhere
    extent = None if inside is None else BoundingBox.of(inside)
    predictor.set_adapter(task.adapter)
    prediction = predict_augmented(
        predictor,
        prepared,
        task.geometry,
        task.prompts,
        inside=extent,
        flips=task.tta,
        field_sizes=task.field_sizes,
        progress=progress,
    )
    if inside is None:
        return prediction
    return replace(
        prediction,
        probabilities=prediction.probabilities * inside,
        iou=prediction.iou if inside.any() else 0.0,
    )


def _key(
    predictor: Predictor, prepared: PreparedImage, task: SegmentationTask, known: Mapping[str, Mask]
) -> str:
    """Return what a prediction depends on, but for its prompts."""
    inside = known.get(task.target.inside or "")
    outer = ""
    if inside is not None:
        outer = hashlib.sha256(np.packbits(inside).tobytes()).hexdigest()
    elif task.outer is not None:
        outer = _key(predictor, prepared, task.outer, known) + text_of(task.outer.prompts)
    geometry = task.geometry.model_dump_json()
    how = repr((task.target.name, task.threshold, task.tta, task.field_sizes, task.points))
    state = predictor.state_with(task.adapter)
    return "|".join((state, prepared.key, geometry, how, outer))


def _are_inside(prompts: Prompts, mask: Mask) -> bool:
    """Check whether all that prompts mark as the target lies in a mask; of a box its center."""
    marked = [(point.x, point.y) for point in prompts.by_label()[0]]
    if prompts.box:
        x0, y0, x1, y1 = prompts.box
        marked.append(((x0 + x1) / 2, (y0 + y1) / 2))
    painted = prompts.mask is None or not prompts.mask.any() or bool((prompts.mask & mask).any())
    return painted and all(mask[round(y), round(x)] for x, y in marked)
