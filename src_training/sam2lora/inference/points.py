"""Locate a target that is a point: the fovea, by the network or by a click."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from sam2lora.datasets.ellipses import Landmark
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask
from sam2lora.inference.tta import predict_augmented
from sam2lora.transforms.windows import Values
from sam2lora.utils.progress import Progress, no_progress

_PART = 0.5  # of the highest probability: pixels from there on belong to the peak


@dataclass(frozen=True)
class PointPrediction:
    """Where a target is that is a point.

    Attributes
    ----------
    x, y
        Its place in native pixels.
    confidence
        How well the probabilities have the form that the network learned to draw around a point,
        0…1; 1 if a click set it. Low where the image does not show it, which the height of the
        peak does not tell: a point is returned all the same.
    """

    x: float
    y: float
    confidence: float


def locate_prepared(
    predictor: Predictor,
    prepared: PreparedImage,
    task: SegmentationTask,
    *,
    progress: Progress = no_progress,
) -> PointPrediction:
    """Locate a point in an image: the place that was clicked, or the network's.

    Parameters
    ----------
    predictor
        The network; its active adapter is changed.
    prepared
        The image.
    task
        The target, a point, and how it is located. The last positive point of its prompts sets it;
        nothing else of them counts.
    progress
        As for `Predictor.predict`.

    Raises
    ------
    AdapterError
        If the adapter is damaged or for another base model.
    GeometryError
        If the clicked point lies outside the image or its field of view.
    DeviceError
        If there is not enough memory.
    """
    task.prompts.check_inside(prepared.field.mask)
    clicked = [point for point in task.prompts.points if point.positive]
    if clicked:
        return PointPrediction(clicked[-1].x, clicked[-1].y, 1.0)
    predictor.set_adapter(task.adapter)
    prediction = predict_augmented(
        predictor, prepared, task.geometry, task.prompts, flips=task.tta, progress=progress
    )
    return find_peak(prediction.probabilities)


def find_peak(probabilities: Values) -> PointPrediction:
    """Return the center of the highest peak of probabilities `(H, W)`.

    It is the mean place of the pixels around the maximum that reach half of it, weighted by their
    probabilities. Its confidence is the overlap (IoU) of all probabilities with the disk around it.
    """
    highest = float(probabilities.max())
    parts, _ = ndimage.label(probabilities >= _PART * highest)
    peak = parts == parts.flat[probabilities.argmax()]
    rows, columns = np.nonzero(peak)
    weights = probabilities[rows, columns].astype(np.float64)
    if not highest:
        weights[:] = 1
    x, y = (float(np.average(ticks, weights=weights)) for ticks in (columns, rows))
    disk = Landmark(x, y).draw(probabilities.shape)
    common = float(probabilities[disk].sum())
    confidence = common / (np.count_nonzero(disk) + float(probabilities.sum()) - common)
    return PointPrediction(x, y, confidence)
