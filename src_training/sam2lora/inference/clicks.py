"""Predict with clicks: a prediction or a drawn outline first, then one correction for each click.

A prediction and its corrections depend on the prompts alone, in their order. Each step is cached,
so that a further click costs one correction, and taking it back none.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate

import numpy as np

from sam2lora.inference.branches import correct_branch
from sam2lora.inference.predictor import Prediction, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.models.click_refiner import RefinerKind
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.settings import GeometrySettings
from sam2lora.types import Mask

_PAINTED = np.float32(0.98)  # probability of a pixel that the user painted or outlined


def predict_with_clicks(
    predictor: Predictor,
    prepared: PreparedImage,
    geometry: GeometrySettings,
    prompts: Prompts,
    *,
    kind: RefinerKind,
    threshold: float,
    automatic: bool,
    start: Callable[[Prompts], Prediction],
    key: str,
) -> Prediction:
    """Predict one target, and correct the prediction at each point in turn.

    An outline that was drawn takes the prediction's place. A box is a prompt of SAM 2, and a
    previous mask too if there are no points; with points, these correct the mask. The first point
    is a prompt where there is nothing yet to correct: without an adapter, or far from the compact
    target that is found without it. A point of a branch adds or removes that; any other changes
    what is connected to it.

    Parameters
    ----------
    predictor
        The network, which has the corrector and the cache of the steps.
    prepared, geometry, prompts
        As for `Predictor.predict`; points are clicks in their order, at least one unless there is
        an outline.
    kind
        Which refiner corrects the target.
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
    # SAM 2 needs a point on the target: one off it alone says nothing about where to look.
    first = next((place for place, click in enumerate(clicks) if click.positive), 0)
    if base.empty and not automatic and not clicks[first].branch:
        base = replace(prompts, points=clicks[: first + 1])
    found = _start(predictor, prepared, base, start, key, threshold)
    mask = found.mask(threshold)
    if base.empty and geometry.detail == "zoom" and _is_elsewhere(clicks[first], mask):
        base = replace(prompts, points=clicks[: first + 1])
        found = _start(predictor, prepared, base, start, key, threshold)
    possible = found.probabilities > 0  # 0 exactly: outside of what the target lies in
    steps = list(accumulate(map(repr, clicks), _digest, initial=_digest(key, text_of(base))))
    done = len(clicks)
    while done and (cached := predictor.corrected.get(steps[done])) is None:
        done -= 1
    found = cached if done and cached else found
    for number in range(done + 1, len(clicks) + 1):
        newest = clicks[number - 1]
        if newest.branch:
            probabilities = correct_branch(
                prepared, found.probabilities, newest, threshold=threshold
            )
        else:
            probabilities = predictor.corrector.correct(
                prepared,
                found.probabilities,
                clicks[:number],
                geometry,
                kind=kind,
                threshold=threshold,
                possible=possible,
            )
        found = replace(found, probabilities=probabilities, confidence=None, signs=None)
        predictor.corrected.put(steps[number], found)
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
    drawn = prompts.mask if prompts.outline is None else prompts.outline.mask(prepared.shape)
    if drawn is not None and drawn.any() and not (prompts.box or prompts.points):
        painted = drawn & prepared.field.mask
        on = max(_PAINTED, np.float32(threshold))
        off = min(1 - _PAINTED, np.nextafter(np.float32(threshold), np.float32(0)))
        return Prediction(
            np.where(painted, on, np.where(prepared.field.mask, off, 0)).astype(np.float32), 1.0
        )
    name = _digest("start", key, text_of(prompts))
    found = predictor.corrected.get(name)
    if found is None:
        found = start(prompts)
        predictor.corrected.put(name, found)
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


def text_of(prompts: Prompts) -> str:
    """Return what distinguishes prompts from others, as a key."""
    mask = b"" if prompts.mask is None else np.packbits(prompts.mask).tobytes()
    return repr((prompts.points, prompts.box, prompts.outline, hashlib.sha256(mask).hexdigest()))


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
