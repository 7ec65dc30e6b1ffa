"""Flip averaging: ask about an image and its three mirror images, and average the probabilities."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from sam2lora.images.field_of_view import FieldOfView
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.utils.progress import Progress

if TYPE_CHECKING:
    from sam2lora.inference.predictor import Prediction, Predictor

FLIPS = ((False, False), (True, False), (False, True), (True, True))
"""Whether left and right, and whether top and bottom, are exchanged."""


def predict_with_flips(
    predictor: "Predictor",
    prepared: PreparedImage,
    geometry: GeometrySettings,
    prompts: Prompts,
    *,
    progress: Progress,
) -> "Prediction":
    """Say where the target is: the mean of the answers to an image and its three mirror images.

    Parameters
    ----------
    predictor
        Its adapter in use answers.
    prepared, geometry, prompts
        As for `Predictor.answer`; the field of view and the prompts are mirrored with the image.
    progress
        Called with (windows done, windows in all) over the four together.

    Returns
    -------
    Probabilities of the image as it is, and the mean of the expected IoUs.

    Raises
    ------
    GeometryError
        If a prompt lies outside the image or its field of view.
    DeviceError
        If the memory does not suffice.
    """
    answers, turned_back = [], []
    for number, (sideways, upside_down) in enumerate(FLIPS):
        flipped = flip_image(prepared, sideways=sideways, upside_down=upside_down)
        asked = flip_prompts(prompts, prepared.shape, sideways=sideways, upside_down=upside_down)
        show = partial(_show_share, progress, number)
        answers.append(predictor.predict(flipped, geometry, asked, progress=show))
        steps = np.s_[:: -1 if upside_down else 1, :: -1 if sideways else 1]
        turned_back.append(answers[-1].probabilities[steps])
    return replace(
        answers[0],
        probabilities=np.mean(turned_back, axis=0, dtype=np.float32),
        iou=float(np.mean([answer.iou for answer in answers])),
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

    clicks = tuple(PointPrompt(*mirrored(one.x, one.y), one.positive) for one in prompts.points)
    box = prompts.box
    if box:
        (xa, ya), (xb, yb) = mirrored(box[0], box[1]), mirrored(box[2], box[3])
        box = (min(xa, xb), min(ya, yb), max(xa, xb), max(ya, yb))
    mask = prompts.mask
    if mask is not None:
        mask = np.ascontiguousarray(mask[:: -1 if upside_down else 1, :: -1 if sideways else 1])
    return Prompts(clicks, box, mask)


def _show_share(progress: Progress, number: int, done: int, total: int) -> None:
    """Count the windows of one of the four among those of all, which are as many each."""
    progress(number * total + done, len(FLIPS) * total)
