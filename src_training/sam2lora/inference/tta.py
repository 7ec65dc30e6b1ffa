"""Test-time augmentation: average predictions of an image, mirrored or at several scales."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.transforms.zoom import BoundingBox
from sam2lora.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from sam2lora.inference.predictor import Prediction, Predictor

FLIPS = ((False, False), (True, False), (False, True), (True, True))
"""Whether the image is mirrored left to right, and top to bottom."""


def predict_augmented(
    predictor: "Predictor",
    prepared: PreparedImage,
    geometry: GeometrySettings,
    prompts: Prompts,
    *,
    inside: BoundingBox | None = None,
    flips: bool = False,
    field_sizes: Sequence[int] = (),
    progress: Progress = no_progress,
) -> "Prediction":
    """Predict a target as the mean over mirror images and scales; plainly without either.

    Parameters
    ----------
    predictor
        The network, with its active adapter.
    prepared, geometry, prompts, inside
        As for `Predictor.predict`; all but the geometry are mirrored with the image.
    flips
        Whether to predict the image and its three mirror images.
    field_sizes
        Diameters of the field of view for tiles, instead of that of `geometry`.
    progress
        Called with (steps done, steps in total) over all predictions.

    Returns
    -------
    Probabilities in the orientation of the image, and the mean of the predicted IoUs.

    Raises
    ------
    GeometryError
        If a prompt lies outside the image or its field of view.
    DeviceError
        If there is not enough memory.
    """
    predictions, probabilities = [], []
    geometries = geometry.with_field_sizes(field_sizes)
    views = [(scaled, flip) for scaled in geometries for flip in (FLIPS if flips else FLIPS[:1])]
    if len(views) == 1:
        return predictor.predict(prepared, geometries[0], prompts, inside=inside, progress=progress)
    for number, (scaled, (sideways, upside_down)) in enumerate(views):
        flipped = flip_image(prepared, sideways=sideways, upside_down=upside_down)
        local = flip_prompts(prompts, prepared.shape, sideways=sideways, upside_down=upside_down)
        show = partial(_show_share, progress, number, len(views))
        around = inside and inside.mirrored(
            prepared.shape, sideways=sideways, upside_down=upside_down
        )
        predictions.append(predictor.predict(flipped, scaled, local, inside=around, progress=show))
        steps = np.s_[:: -1 if upside_down else 1, :: -1 if sideways else 1]
        probabilities.append(predictions[-1].probabilities[steps])
    return replace(
        predictions[0],
        probabilities=np.mean(probabilities, axis=0, dtype=np.float32),
        iou=float(np.mean([prediction.iou for prediction in predictions])),
    )


def flip_image(prepared: PreparedImage, *, sideways: bool, upside_down: bool) -> PreparedImage:
    """Mirror an image with its field of view."""
    if not (sideways or upside_down):
        return prepared
    steps = np.s_[:: -1 if upside_down else 1, :: -1 if sideways else 1]
    height, width = prepared.shape
    field = prepared.field
    x, y = field.center
    center = (width - 1 - x if sideways else x, height - 1 - y if upside_down else y)
    mask = np.ascontiguousarray(field.mask[steps])
    mirrored = FieldOfView(mask, center, field.diameter, field.found)
    return PreparedImage.of(np.ascontiguousarray(prepared.pixels[steps]), field=mirrored)


def flip_prompts(
    prompts: Prompts, shape: tuple[int, int], *, sideways: bool, upside_down: bool
) -> Prompts:
    """Mirror prompts with an image of `shape` (H, W): pixel 0 becomes the last one."""
    height, width = shape

    def mirrored(x: float, y: float) -> tuple[float, float]:
        return width - 1 - x if sideways else x, height - 1 - y if upside_down else y

    points = tuple(PointPrompt(*mirrored(p.x, p.y), p.positive, p.branch) for p in prompts.points)
    box = prompts.box
    if box:
        (xa, ya), (xb, yb) = mirrored(box[0], box[1]), mirrored(box[2], box[3])
        box = (min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
    mask = prompts.mask
    if mask is not None:
        mask = np.ascontiguousarray(mask[:: -1 if upside_down else 1, :: -1 if sideways else 1])
    return Prompts(points, box, mask)


def _show_share(progress: Progress, number: int, views: int, done: float, total: int) -> None:
    """Report the steps of one of several predictions as steps of all, as if each had as many."""
    progress(number * total + done, views * total)
