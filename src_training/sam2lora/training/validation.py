"""Validate a model in training on validation images, with the same predictor as prediction."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam2lora.images.visualization import draw_errors, save_picture
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.points import find_peak
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.metrics.landmarks import closeness
from sam2lora.metrics.segmentation import cross_entropy, dice
from sam2lora.models.loading import LoadedModel
from sam2lora.settings import Precision
from sam2lora.targets import get_target
from sam2lora.training.data_split import Item
from sam2lora.training.settings import TrainSettings
from sam2lora.transforms.windows import Values
from sam2lora.transforms.zoom import BoundingBox
from sam2lora.types import Mask, Place

THRESHOLDS = tuple(round(0.2 + 0.05 * step, 2) for step in range(13))
"""Thresholds tried on the validation images; one is saved with the adapter."""

_TOLERANCE = 0.002  # of Dice: too small a difference for a few validation images


@dataclass(frozen=True)
class Validation:
    """Result of automatic segmentation on the validation images.

    Attributes
    ----------
    dice
        Mean over the images of the Dice coefficient inside the field of view, at `threshold`; of a
        point, of its closeness (`metrics.landmarks`).
    threshold
        Threshold at which that mean is highest; among practically equal ones, the nearest to the
        preferred threshold. Of a point, the preferred one.
    loss
        Mean over the images of the binary cross-entropy inside the field of view.
    per_image
        Dice or closeness of each image, by its name.
    iou_offset
        Mean difference of the IoU at `threshold` and the predicted IoU.
    """

    dice: float
    threshold: float
    loss: float
    per_image: dict[str, float]
    iou_offset: float


@dataclass(frozen=True, eq=False)
class ValidationImage:
    """A validation image in memory.

    Attributes
    ----------
    name
        Dataset and stem of the image.
    prepared
        The image, prepared for prediction.
    reference
        `(H, W)` bool: the reference mask; of a point, the disk around it.
    valid
        `(H, W)` bool: pixels that are scored.
    outer
        Box around the target that this one lies in, if it is marked.
    point
        Where the target is, if it is a point.
    """

    name: str
    prepared: PreparedImage
    reference: Mask
    valid: Mask
    outer: BoundingBox | None = None
    point: Place | None = None


def read_validation_images(items: Sequence[Item]) -> list[ValidationImage]:
    """Read the validation images of a training.

    Raises
    ------
    ImageError
        If a file cannot be read; the message names it.
    """
    images: list[ValidationImage] = []
    for item in items:
        record = item.record
        prepared = PreparedImage.of(record.read_image().pixels, field=record.read_field_of_view())
        reference = record.read_mask(item.target, grader=item.grader)
        name = f"{record.dataset}/{record.stem}"
        same = sum(other.name.partition(" (")[0] == name for other in images)
        valid = item.valid(prepared.field, reference)
        images.append(
            ValidationImage(
                f"{name} ({same + 1})" if same else name,
                prepared,
                reference,
                valid,
                _outer(item),
                _point(item),
            )
        )
    return images


def _point(item: Item) -> Place | None:
    if get_target(item.target).kind == "mask":
        return None
    landmark = item.record.point(item.target)
    return landmark.x, landmark.y


def _outer(item: Item) -> BoundingBox | None:
    outer = get_target(item.target).inside
    if outer is None or outer not in item.record.masks:
        return None
    return BoundingBox.of(item.record.read_mask(outer, grader=item.grader))


def validate(
    base: LoadedModel,
    images: Sequence[ValidationImage],
    settings: TrainSettings,
    *,
    precision: Precision,
    batch: int,
    preferred: float = 0.5,
    preview: Path | None = None,
) -> Validation:
    """Segment validation images without prompts at native resolution, and score the results.

    A target that lies in another one is looked for in the other one's reference, where there is
    one: the network in training does not find that. The network is left in evaluation mode.

    Parameters
    ----------
    base
        Base model with the network in training.
    images
        At least one validation image.
    settings
        Training settings: target, geometry, device.
    precision
        Floating-point precision of the training.
    batch
        Number of windows predicted at once.
    preferred
        Threshold to stay close to: the mean Dice is often flat over many thresholds, and the best
        on a few images is not the best on others.
    preview
        Path of a PNG file to write, which shows the errors in the first image.

    Raises
    ------
    DeviceError
        If memory does not suffice.
    OutputError
        If the picture cannot be written.
    """
    predictor = Predictor(
        base,
        device=settings.device,
        precision=precision,
        cache=EmbeddingCache(0),
        batch=batch,
        multimask_token=settings.multimask_token,
    )
    geometry = settings.geometry_for(settings.target)
    scores = np.zeros((len(images), len(THRESHOLDS)))
    losses, predicted_iou = [], []
    first: Values | None = None
    for number, image in enumerate(images):
        prediction = predictor.predict(image.prepared, geometry, inside=image.outer)
        probabilities = prediction.probabilities
        first = probabilities if first is None else first
        predicted_iou.append(prediction.iou)
        losses.append(cross_entropy(probabilities, image.reference, valid=image.valid))
        if image.point is not None:
            peak = find_peak(probabilities)
            scores[number] = closeness((peak.x, peak.y), image.point, image.prepared.field)
            continue
        for column, threshold in enumerate(THRESHOLDS):
            mask = probabilities >= threshold
            scores[number, column] = dice(mask, image.reference, valid=image.valid)
    means = scores.mean(axis=0)
    near_best = np.flatnonzero(means >= means.max() - _TOLERANCE)
    best = int(min(near_best, key=lambda column: abs(THRESHOLDS[column] - preferred)))
    if preview and first is not None:
        shown = images[0]
        mask = first >= THRESHOLDS[best]
        save_picture(preview, draw_errors(shown.prepared.pixels, mask, shown.reference))
    per_image = {
        image.name: float(score) for image, score in zip(images, scores[:, best], strict=True)
    }
    dices = scores[:, best]
    true_iou = dices / (2 - dices)
    return Validation(
        dice=float(dices.mean()),
        threshold=THRESHOLDS[best],
        loss=float(np.mean(losses)),
        per_image=per_image,
        iou_offset=float(np.mean(true_iou - predicted_iou)),
    )
