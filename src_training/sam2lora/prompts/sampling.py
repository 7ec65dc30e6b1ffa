"""Draw prompts from a mask, as a user would give them: the paper's seven regimes, and training.

Only the part of a mask inside `valid` counts, since a user cannot click outside the field of view.
Every draw comes from the generator that is handed in; nothing else is random.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from sam2lora.errors import GeometryError
from sam2lora.prompts.mask_corruption import corrupt
from sam2lora.prompts.user_prompts import Box, PointPrompt, Prompts
from sam2lora.settings import PromptSamplingSettings
from sam2lora.types import Mask

Pixels = NDArray[np.int64]  # (N,) flat indices into a mask

_REACH_IN = 6
"""A point is moved at most this many pixels towards the inside of its structure."""
_NEAR_SHARE = 0.8
"""How often points off the mask are near it, where the network errs."""
_TRIES = 64


@dataclass(frozen=True)
class Regime:
    """How many points on the mask and off it a prompt has, and whether it has a box."""

    name: str
    positive: int = 0
    negative: int = 0
    box: bool = False


REGIMES = MappingProxyType(
    {
        regime.name: regime
        for regime in (
            Regime("none"),
            Regime("1p", positive=1),
            Regime("2p", positive=2),
            Regime("5p", positive=5),
            Regime("5p1n", positive=5, negative=1),
            Regime("box", box=True),
            Regime("5p1n+box", positive=5, negative=1, box=True),
        )
    }
)
"""The seven prompt regimes of the paper, by name."""


def sample_prompts(
    mask: Mask,
    regime: Regime,
    rng: np.random.Generator,
    *,
    valid: Mask | None = None,
    jitter: float = 0.0,
) -> Prompts:
    """Draw the prompts of a regime from a mask.

    Points on the mask start anywhere on it and move a few pixels inwards. Points off the mask are
    mostly within a sixteenth of the image's longer side of it. Points are distinct unless there are
    fewer pixels than points. The box holds the whole mask, all parts of it.

    Parameters
    ----------
    mask
        `(H, W)`: the target.
    regime
        One of `REGIMES`, or another.
    rng
        The only source of chance.
    valid
        `(H, W)`: where a user could click, such as the field of view; everywhere by default.
    jitter
        Each edge of the box moves by up to this share of the box's side, in 0…0.3, never beyond
        the image.

    Returns
    -------
    Prompts in pixels of `mask`, points on it first.

    Raises
    ------
    GeometryError
        If shapes differ, the regime needs a target and the mask is empty inside `valid`, or it
        needs a point off the target and the mask covers all of `valid`.
    """
    on, off = _split(mask, valid)
    if (regime.positive or regime.box) and not on.any():
        raise GeometryError(
            f"The mask is empty inside the field of view, so prompts of regime '{regime.name}' "
            "cannot be drawn from it. Leave this image out, or use the regime 'none'."
        )
    if regime.negative and not off.any():
        raise GeometryError(
            f"The mask covers the whole field of view, so regime '{regime.name}' finds no place "
            "for a point off it. Use a regime without negative points."
        )
    return _draw(on, off, regime, rng, jitter)


def sample_training_prompts(
    mask: Mask, mix: PromptSamplingSettings, rng: np.random.Generator, *, valid: Mask | None = None
) -> Prompts:
    """Draw the prompts of one training sample; what cannot be drawn is left out.

    An empty mask gets points off it if its kind has any, else nothing, or one such point where the
    mix is never without a prompt; a mask that covers all of `valid` gets no points off it.

    Parameters
    ----------
    mask, rng, valid
        As for `sample_prompts`.
    mix
        How often each kind of prompt is drawn.

    Returns
    -------
    Prompts in pixels of `mask`. A previous answer, if there is one, is their `mask`.

    Raises
    ------
    GeometryError
        If shapes differ.
    """
    on, off = _split(mask, valid)
    weights = mix.weights
    total = sum(weights.values())
    kind = rng.choice(list(weights), p=[weight / total for weight in weights.values()])
    if kind == "none":
        return Prompts()
    if kind == "previous" and on.any():
        return _previous_answer(on, on | off, mix, rng)
    target, other = bool(on.any()), bool(off.any())
    positive, negative = 0, 0
    if kind != "box":
        positive = int(rng.integers(*mix.positive, endpoint=True)) if target else 0
        negative = int(rng.integers(*mix.negative, endpoint=True)) if other else 0
    if kind == "points" and not (positive or negative):
        positive = int(target)
    if mix.none == 0 and not target:
        negative = max(negative, int(other))
    regime = Regime("drawn", positive, negative, box=target and kind != "points")
    return _draw(on, off, regime, rng, mix.box_jitter)


def _split(mask: Mask, valid: Mask | None) -> tuple[Mask, Mask]:
    """Give the valid pixels on the target and those off it."""
    if mask.ndim != 2 or (valid is not None and valid.shape != mask.shape):
        raise GeometryError(
            f"A mask and its valid pixels are (H, W) both, not {mask.shape} and "
            f"{None if valid is None else valid.shape}."
        )
    return (mask, ~mask) if valid is None else (mask & valid, valid & ~mask)


def _draw(on: Mask, off: Mask, regime: Regime, rng: np.random.Generator, jitter: float) -> Prompts:
    positive = _points_inside(on, regime.positive, rng)
    negative = _points_near(on, off, regime.negative, rng)
    box = _box(on, rng, jitter) if regime.box else None
    return Prompts(_clicks(positive, negative, on.shape), box)


def _previous_answer(
    on: Mask, valid: Mask, mix: PromptSamplingSettings, rng: np.random.Generator
) -> Prompts:
    """Give a wrong answer, and clicks where it is wrong, as a user corrects it."""
    answer = corrupt(on, rng) & valid
    missed, false = on & ~answer, answer & ~on
    wrong = int(missed.sum() + false.sum())
    count = min(int(rng.integers(0, mix.corrections, endpoint=True)), wrong)
    positive = int(rng.binomial(count, missed.sum() / wrong)) if wrong else 0
    clicks = _clicks(
        _points_inside(missed, positive, rng),
        _points_inside(false, count - positive, rng),
        on.shape,
    )
    return Prompts(clicks, mask=answer if answer.any() else None)


def _points_inside(mask: Mask, count: int, rng: np.random.Generator) -> Pixels:
    """Draw pixels of a mask evenly, then move each towards the inside of what it lies on."""
    if not count:
        return np.zeros(0, dtype=np.int64)
    drawn = _choose(np.flatnonzero(mask), count, rng)
    taken = set(drawn.tolist())
    for index, reach in enumerate(rng.integers(0, _REACH_IN, size=count, endpoint=True)):
        moved = _deepest(mask, int(drawn[index]), int(reach))
        if moved not in taken:
            taken.add(moved)
            drawn[index] = moved
    return drawn


def _deepest(mask: Mask, pixel: int, reach: int) -> int:
    """Give the pixel of the mask, at most `reach` rows and columns away, farthest from its edge."""
    row, column = divmod(pixel, mask.shape[1])
    top, left = max(row - reach, 0), max(column - reach, 0)
    patch = mask[top : row + reach + 1, left : column + reach + 1]
    if patch.all():
        return pixel
    depth = ndimage.distance_transform_edt(patch)
    row, column = np.unravel_index(int(depth.argmax()), patch.shape)
    return int((top + row) * mask.shape[1] + left + column)


def _points_near(on: Mask, off: Mask, count: int, rng: np.random.Generator) -> Pixels:
    """Draw pixels off the target, mostly a short step from it."""
    if not count:
        return np.zeros(0, dtype=np.int64)
    anywhere = _choose(np.flatnonzero(off), count, rng)
    if rng.random() >= _NEAR_SHARE or not on.any():
        return anywhere
    start = rng.choice(np.flatnonzero(on), size=_TRIES)
    angle = rng.uniform(0, 2 * np.pi, size=_TRIES)
    length = np.exp(rng.uniform(np.log(2), np.log(max(3, max(on.shape) / 16)), size=_TRIES))
    rows = start // on.shape[1] + np.rint(length * np.sin(angle)).astype(np.int64)
    columns = start % on.shape[1] + np.rint(length * np.cos(angle)).astype(np.int64)
    inside = (rows >= 0) & (rows < on.shape[0]) & (columns >= 0) & (columns < on.shape[1])
    rows, columns = rows[inside], columns[inside]
    near = (rows * on.shape[1] + columns)[off[rows, columns]]
    distinct = dict.fromkeys([*near.tolist(), *anywhere.tolist()])
    # Where `anywhere` repeats, all its pixels are in it, and so are all of `near`.
    return np.array(list(distinct)[:count]) if len(distinct) >= count else anywhere


def _choose(pixels: Pixels, count: int, rng: np.random.Generator) -> Pixels:
    """Draw distinct pixels; where there are too few, all of them, and some again."""
    missing = max(0, count - len(pixels))
    distinct = rng.choice(pixels, size=count - missing, replace=False)
    return np.concatenate([distinct, rng.choice(pixels, size=missing)]) if missing else distinct


def _box(mask: Mask, rng: np.random.Generator, jitter: float) -> Box:
    """Give the box from the first to the last pixel of the mask, by their centers.

    Where that is a single row or column, the box is the pixels' whole width.
    """
    ends = []
    for axis in (0, 1):
        places = np.flatnonzero(mask.any(axis=axis))
        low, high = float(places[0]), float(places[-1])
        if low == high:
            low, high = low - 0.5, high + 0.5
        low, high = (low, high) + jitter * (high - low) * rng.uniform(-1, 1, size=2)
        limit = mask.shape[1 - axis] - 0.5
        low = min(max(float(low), -0.5), limit - 1)
        ends.append((low, max(min(float(high), limit), low + 1)))
    (x0, x1), (y0, y1) = ends
    return x0, y0, x1, y1


def _clicks(positive: Pixels, negative: Pixels, shape: Sequence[int]) -> tuple[PointPrompt, ...]:
    return tuple(
        PointPrompt(float(pixel % shape[1]), float(pixel // shape[1]), positive=on_target)
        for pixels, on_target in ((positive, True), (negative, False))
        for pixel in pixels.tolist()
    )
