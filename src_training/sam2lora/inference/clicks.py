"""Predict with clicks: an automatic prediction first, then one correction for each click.

A prediction and its corrections depend on the prompts alone, in their order. Each step is cached,
so that a further click costs one correction, and taking it back none.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sam2lora.inference.predictor import Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.types import Mask

_PAINTED = np.float32(0.98)  # probability of a pixel that the user painted


def predict_with_clicks(
    predictor: Predictor,
    prepared: PreparedImage,
    geometry: GeometrySettings,
    prompts: Prompts,
    *,
    threshold: float,
    automatic: bool,
    start: Callable[[Prompts], Prediction],
    key: str,
) -> Prediction:
    """Predict one target, and correct the prediction at each point in turn.

    A box is a prompt of SAM 2, and a previous mask too if there are no points; with points, these
    correct the mask. The first point is a prompt where there is nothing yet to correct: without an
    adapter, or far from the compact target that is found without it.

    Parameters
    ----------
    predictor
        The network, which has the corrector and the cache of the steps.
    prepared, geometry, prompts
        As for `Predictor.predict`; points are clicks in their order, at least one.
    threshold
        Probability from which a pixel belongs to the mask that is corrected.
    automatic
        Whether there is a prediction without prompts to correct.
    start
        Function that predicts with the prompts that are no corrections.
    key
        What `start` depends on, but for its prompts.

    Returns
    -------
    The prediction; every clicked pixel is on the side of the threshold that its last click asked
    for. The predicted IoU is that of the prediction before its corrections.

    Raises
    ------
    GeometryError
        If a prompt lies outside the image or its field of view.
    DeviceError
        If there is not enough memory.
    """
    prompts.check_inside(prepared.field.mask)
    clicks = prompts.points
    base = replace(prompts, points=())
    if base.empty and not automatic:
        base = replace(prompts, points=clicks[:1])
    found = _start(predictor, prepared, base, start, key, threshold)
    if base.empty and geometry.detail == "zoom" and _is_elsewhere(clicks[0], found.mask(threshold)):
        base = replace(prompts, points=clicks[:1])
        found = _start(predictor, prepared, base, start, key, threshold)
    step = _digest(key, _text_of(base))
    for number in range(1, len(clicks) + 1):
        step = _digest(step, repr(clicks[number - 1]))
        cached = predictor.steps.get(step)
        if cached is None:
            probabilities = predictor.corrector.correct(
                prepared, found.probabilities, clicks[:number], geometry, threshold=threshold
            )
            cached = replace(found, probabilities=probabilities, confidence=None)
            predictor.steps.put(step, cached)
        found = cached
    return replace(found, probabilities=found.probabilities.copy())


def _start(
    predictor: Predictor,
    prepared: PreparedImage,
    prompts: Prompts,
    start: Callable[[Prompts], Prediction],
    key: str,
    threshold: float,
) -> Prediction:
    """Return what the clicks correct; predicted once."""
    if prompts.mask is not None and not prompts.empty and not (prompts.box or prompts.points):
        painted = prompts.mask & prepared.field.mask
        on = max(_PAINTED, np.float32(threshold))
        off = min(1 - _PAINTED, np.nextafter(np.float32(threshold), np.float32(0)))
        return Prediction(
            np.where(painted, on, np.where(prepared.field.mask, off, 0)).astype(np.float32), 1.0
        )
    name = _digest("start", key, _text_of(prompts))
    found = predictor.steps.get(name)
    if found is None:
        found = start(prompts)
        predictor.steps.put(name, found)
    return found


def _is_elsewhere(click: PointPrompt, mask: Mask) -> bool:
    """Check whether a click asks for the target at another place than where it was found."""
    if not click.positive:
        return False
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return True
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    return bool(np.hypot(rows - click.y, columns - click.x).min() > extent)


def _text_of(prompts: Prompts) -> str:
    mask = b"" if prompts.mask is None else np.packbits(prompts.mask).tobytes()
    return repr((prompts.points, prompts.box, hashlib.sha256(mask).hexdigest()))


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
