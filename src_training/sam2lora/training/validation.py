"""Judge a network in training by held-out images, through the same predictor as prediction."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sam2lora.images.visualization import draw_errors, save_image
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.metrics.segmentation import cross_entropy, dice
from sam2lora.models.loading import LoadedModel
from sam2lora.settings import Precision
from sam2lora.training.data_split import Item
from sam2lora.training.settings import TrainSettings
from sam2lora.transforms.windows import Values
from sam2lora.types import Mask

THRESHOLDS = tuple(round(0.2 + 0.05 * step, 2) for step in range(13))
"""Thresholds tried on the held-out images; one is kept for the adapter."""

_AS_GOOD = 0.002  # of Dice: less than held-out images, often few, can tell


@dataclass(frozen=True)
class Validation:
    """How good the automatic answer is on held-out images.

    Attributes
    ----------
    dice
        Mean over the images of the Dice coefficient inside the field of view, at `threshold`.
    threshold
        Of the probabilities at which that mean is highest, or as good as, the one nearest to the
        usual one.
    loss
        Mean over the images of the binary cross-entropy inside the field of view.
    per_image
        Name of each image to its Dice at `threshold`.
    """

    dice: float
    threshold: float
    loss: float
    per_image: dict[str, float]


@dataclass(frozen=True, eq=False)
class ValidationImage:
    """A held-out image in memory."""

    name: str
    prepared: PreparedImage
    reference: Mask
    valid: Mask


def read_validation_images(items: Sequence[Item]) -> list[ValidationImage]:
    """Read the images that judge a training.

    Raises
    ------
    ImageError
        If a file cannot be read; the message names it.
    """
    held_out: list[ValidationImage] = []
    for item in items:
        record = item.record
        prepared = PreparedImage.of(record.read_image().pixels, field=record.read_field_of_view())
        truth = record.read_mask(item.target, grader=item.grader)
        name = f"{record.dataset}/{record.stem}"
        same = sum(other.name.partition(" (")[0] == name for other in held_out)
        valid = item.valid(prepared.field, truth)
        held_out.append(
            ValidationImage(f"{name} ({same + 1})" if same else name, prepared, truth, valid)
        )
    return held_out


def validate(
    base: LoadedModel,
    held_out: Sequence[ValidationImage],
    settings: TrainSettings,
    *,
    precision: Precision,
    batch: int,
    usual: float = 0.5,
    preview: Path | None = None,
) -> Validation:
    """Segment held-out images without a prompt at native resolution, and compare.

    The network is left in evaluation mode.

    Parameters
    ----------
    base
        With the network in training.
    held_out
        At least one image.
    settings
        Of the training: target, geometry, device.
    precision
        What the training computes in.
    batch
        Windows at once.
    usual
        The threshold to stay near to: a mean is often flat over many of them, and the best on a
        few images is not the best on others.
    preview
        Where to write a picture of the first image with its errors, as PNG.

    Raises
    ------
    DeviceError
        If the memory does not suffice.
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
    scores = np.zeros((len(held_out), len(THRESHOLDS)))
    losses = []
    first: Values | None = None
    for number, image in enumerate(held_out):
        probabilities = predictor.predict(image.prepared, geometry).probabilities
        first = probabilities if first is None else first
        losses.append(cross_entropy(probabilities, image.reference, valid=image.valid))
        for column, threshold in enumerate(THRESHOLDS):
            mask = probabilities >= threshold
            scores[number, column] = dice(mask, image.reference, valid=image.valid)
    means = scores.mean(axis=0)
    as_good = np.flatnonzero(means >= means.max() - _AS_GOOD)
    best = int(min(as_good, key=lambda column: abs(THRESHOLDS[column] - usual)))
    if preview and first is not None:
        shown = held_out[0]
        answer = first >= THRESHOLDS[best]
        save_image(preview, draw_errors(shown.prepared.pixels, answer, shown.reference))
    per_image = {
        image.name: float(score) for image, score in zip(held_out, scores[:, best], strict=True)
    }
    mean = float(scores[:, best].mean())
    return Validation(mean, THRESHOLDS[best], float(np.mean(losses)), per_image)
