"""Sample prompts from a mask, as a user would give them: the paper's seven regimes, and training.

Only the part of a mask inside `valid` counts, since a user cannot click outside the field of view.
All randomness comes from the generator that is passed in.
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

FlatIndices = NDArray[np.int64]  # (N,) flat indices into a mask

_REACH_IN = 6
"""Largest distance in pixels by which a point moves towards the inside of its structure."""
_NEAR_SHARE = 0.8
"""Share of the prompts whose negative points are near the mask, where the network errs."""
_TRIES = 64


@dataclass(frozen=True)
class Regime:
    """Number of positive and negative points of a prompt, and whether it has a box."""

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
    """Sample the prompts of a regime from a mask.

    Positive points start anywhere on the mask and move a few pixels inwards. Negative points are
    mostly within 1/16 of the image's longer side of the mask. Points are distinct unless there are
    fewer pixels than points. The box contains the whole mask with all its parts.

    Parameters
    ----------
    mask
        `(H, W)` bool: the target.
    regime
        One of `REGIMES`, or another.
    rng
        Source of all randomness.
    valid
        `(H, W)` bool: where a user could click, such as the field of view; by default everywhere.
    jitter
        Each edge of the box moves by up to this share of the box's side, in 0…0.3, never beyond
        the image.

    Returns
    -------
    Prompts in pixels of `mask`, positive points first.

    Raises
    ------
    GeometryError
        If the shapes differ, the regime has positive points or a box and the mask is empty inside
        `valid`, or it has negative points and the mask covers all of `valid`.
    """
    on, off = _split(mask, valid)
    if (regime.positive or regime.box) and not on.any():
        raise GeometryError(
            f"The mask is empty inside the field of view, so prompts of regime '{regime.name}' "
            "cannot be sampled. Leave this image out, or use the regime 'none'."
        )
    if regime.negative and not off.any():
        raise GeometryError(
            f"The mask covers the whole field of view, so regime '{regime.name}' has no place for "
            "a negative point. Use a regime without negative points."
        )
    return _sample(on, off, regime, rng, jitter)


def sample_training_prompts(
    mask: Mask, mix: PromptSamplingSettings, rng: np.random.Generator, *, valid: Mask | None = None
) -> Prompts:
    """Sample the prompts of one training sample; prompts that are impossible are left out.

    An empty mask gets negative points if its kind of prompt has any, else nothing, or one negative
    point if `mix` never gives an empty prompt; a mask that covers all of `valid` gets none.

    Parameters
    ----------
    mask, rng, valid
        As for `sample_prompts`.
    mix
        How often each kind of prompt is sampled.

    Returns
    -------
    Prompts in pixels of `mask`. A previous prediction, if there is one, is their `mask`.

    Raises
    ------
    GeometryError
        If the shapes differ.
    """
    on, off = _split(mask, valid)
    weights = mix.weights
    total = sum(weights.values())
    kind = rng.choice(list(weights), p=[weight / total for weight in weights.values()])
    if kind == "none":
        return Prompts()
    if kind == "previous" and on.any():
        return _previous_prediction(on, on | off, mix, rng)
    target, other = bool(on.any()), bool(off.any())
    positive, negative = 0, 0
    if kind != "box":
        positive = int(rng.integers(*mix.positive, endpoint=True)) if target else 0
        negative = int(rng.integers(*mix.negative, endpoint=True)) if other else 0
    if kind == "points" and not (positive or negative):
        positive = int(target)
    if mix.none == 0 and not target:
        negative = max(negative, int(other))
    regime = Regime("sampled", positive, negative, box=target and kind != "points")
    return _sample(on, off, regime, rng, mix.box_jitter)


def _split(mask: Mask, valid: Mask | None) -> tuple[Mask, Mask]:
    """Return the valid pixels on the target and those off it."""
    if mask.ndim != 2 or (valid is not None and valid.shape != mask.shape):
        raise GeometryError(
            f"A mask and its valid pixels must have one shape (H, W), not {mask.shape} and "
            f"{None if valid is None else valid.shape}."
        )
    return (mask, ~mask) if valid is None else (mask & valid, valid & ~mask)


def _sample(
    on: Mask, off: Mask, regime: Regime, rng: np.random.Generator, jitter: float
) -> Prompts:
    positive = _points_inside(on, regime.positive, rng)
    negative = _points_near(on, off, regime.negative, rng)
    box = _box(on, rng, jitter) if regime.box else None
    return Prompts(_point_prompts(positive, negative, on.shape), box)


def _previous_prediction(
    on: Mask, valid: Mask, mix: PromptSamplingSettings, rng: np.random.Generator
) -> Prompts:
    """Sample a wrong prediction, and points where it is wrong, as a user would correct it."""
    prediction = corrupt(on, rng) & valid
    missed, false = on & ~prediction, prediction & ~on
    wrong = int(missed.sum() + false.sum())
    count = min(int(rng.integers(0, mix.corrections, endpoint=True)), wrong)
    positive = int(rng.binomial(count, missed.sum() / wrong)) if wrong else 0
    points = _point_prompts(
        _points_inside(missed, positive, rng),
        _points_inside(false, count - positive, rng),
        on.shape,
    )
    return Prompts(points, mask=prediction if prediction.any() else None)


def _points_inside(mask: Mask, count: int, rng: np.random.Generator) -> FlatIndices:
    """Sample pixels of a mask uniformly, then move each towards the inside of its structure."""
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
    """Return the mask pixel within `reach` rows and columns that is farthest from the edge."""
    row, column = divmod(pixel, mask.shape[1])
    top, left = max(row - reach, 0), max(column - reach, 0)
    patch = mask[top : row + reach + 1, left : column + reach + 1]
    if patch.all():
        return pixel
    depth = ndimage.distance_transform_edt(patch)
    row, column = np.unravel_index(int(depth.argmax()), patch.shape)
    return int((top + row) * mask.shape[1] + left + column)


def _points_near(on: Mask, off: Mask, count: int, rng: np.random.Generator) -> FlatIndices:
    """Sample pixels off the target, mostly close to it."""
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
    # Where `anywhere` has repetitions, it holds all pixels off the target, and so all of `near`.
    return np.array(list(distinct)[:count]) if len(distinct) >= count else anywhere


def _choose(pixels: FlatIndices, count: int, rng: np.random.Generator) -> FlatIndices:
    """Sample distinct pixels; if there are too few, use all of them, some repeatedly."""
    missing = max(0, count - len(pixels))
    distinct = rng.choice(pixels, size=count - missing, replace=False)
    return np.concatenate([distinct, rng.choice(pixels, size=missing)]) if missing else distinct


def _box(mask: Mask, rng: np.random.Generator, jitter: float) -> Box:
    """Return the box from the center of the first to that of the last pixel of the mask.

    For a single row or column, the box is one whole pixel wide.
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


def _point_prompts(
    positive: FlatIndices, negative: FlatIndices, shape: Sequence[int]
) -> tuple[PointPrompt, ...]:
    return tuple(
        PointPrompt(float(pixel % shape[1]), float(pixel // shape[1]), positive=on_target)
        for pixels, on_target in ((positive, True), (negative, False))
        for pixel in pixels.tolist()
    )
