"""Measure what clicks do: simulated corrections of a prediction, one error at a time.

Two things are measured on each image. A sequence of clicks, each in the largest error that is left,
as in the protocol of interactive segmentation (RITM, Sofiiuk et al., 2021; SimpleClick, Liu et al.,
2023). And the effect of single clicks, each on the automatic prediction: whether they are honoured,
how much of the error they mend, and what they harm.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from sam2lora.evaluation.cases import PreparedCase
from sam2lora.metrics.segmentation import count
from sam2lora.prompts.error_clicks import ErrorRegion, largest_errors
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.settings import Settings
from sam2lora.types import Mask

MOST_CLICKS = 10
"""Clicks of a sequence."""

COUNTS = (0, 1, 2, 3, 5, 10)
"""Numbers of clicks in the tables."""

GOALS = (0.85, 0.90, 0.95)
"""Dice coefficients for which the number of clicks is counted."""

SINGLE_CLICKS = 6
"""Largest errors of an image on which a single click is tried."""

DRAWS = 5
"""Sequences at random places, whose spread is measured."""

Placement = Literal["middle", "random"]
Start = Literal["automatic", "nothing"]

Correct = Callable[[Sequence[PointPrompt], Start], Mask]


class ClickEffect(Settings):
    """The effect of one click on the automatic prediction.

    Attributes
    ----------
    honoured
        Whether the clicked pixel has the label that was asked for.
    mended
        Share of the erring region that became right.
    harm
        Share of the scored pixels that were right, outside the region, and are wrong now.
    area, harmed
        Pixels of the region; pixels that are wrong now and were right.
    """

    honoured: bool
    mended: float
    harm: float
    area: int
    harmed: int


class ClickSequence(Settings):
    """The corrections of one image.

    Attributes
    ----------
    start
        What is corrected: the prediction without prompts, or that of a first click on the target.
    placement
        Where in an error is clicked: in the middle, or at a random place of its inner part.
    draw
        Number of the sequence, where there are several at random places.
    dice
        Dice coefficient after 0, 1, … clicks; shorter where nothing was left to correct.
    effects
        Effects of single clicks in the largest errors.
    """

    start: Start
    placement: Placement
    draw: int = 0
    dice: tuple[float, ...]
    effects: tuple[ClickEffect, ...] = ()

    def dice_after(self, clicks: int) -> float:
        """Return the Dice coefficient after a number of clicks, or after the last one needed."""
        return self.dice[min(clicks, len(self.dice) - 1)]

    def clicks_to(self, goal: float) -> int:
        """Return the number of clicks to a Dice coefficient, `MOST_CLICKS` if it is not reached.

        So the number of clicks is counted in the literature ("NoC").
        """
        reached = (number for number, dice in enumerate(self.dice) if dice >= goal)
        return next(reached, MOST_CLICKS)

    @property
    def worse(self) -> bool:
        """Whether three clicks made the prediction worse."""
        return self.dice_after(3) < self.dice[0]


def correct_case(
    correct: Correct, case: PreparedCase, *, name: str, seed: int
) -> tuple[ClickSequence, ...]:
    """Simulate the corrections of one image: in the middle of its errors, at random, from nothing.

    Parameters
    ----------
    correct
        Function that returns the mask `(H, W)` bool after clicks, in their order, and from a start;
        after no clicks, the prediction without prompts.
    case
        The image with its reference.
    name, seed
        Of the image and of the evaluation; random places depend on both.
    """
    plan: list[tuple[Start, Placement, int]] = [
        ("automatic", "middle", 0),
        *(("automatic", "random", draw) for draw in range(DRAWS)),
        ("nothing", "middle", 0),
    ]
    return tuple(
        _correct(correct, case, start, placement, draw, f"{seed}\0{name}\0{draw}")
        for start, placement, draw in plan
    )


def _correct(
    correct: Correct, case: PreparedCase, start: Start, placement: Placement, draw: int, key: str
) -> ClickSequence:
    digest = hashlib.sha256(key.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16])) if placement == "random" else None
    mask = correct((), "automatic") if start == "automatic" else np.zeros_like(case.reference)
    effects: tuple[ClickEffect, ...] = ()
    if start == "automatic" and draw == 0:
        effects = tuple(
            _effect(correct, case, mask, region, region.click(rng))
            for region in _errors(mask, case, SINGLE_CLICKS)
        )
    clicks: list[PointPrompt] = []
    dice = [_dice(mask, case)]
    for _ in range(MOST_CLICKS):
        errors = _errors(mask, case, 1)
        if not errors:
            break
        clicks.append(errors[0].click(rng))
        mask = correct(clicks, start)
        dice.append(_dice(mask, case))
    return ClickSequence(
        start=start, placement=placement, draw=draw, dice=tuple(dice), effects=effects
    )


def _effect(
    correct: Correct,
    case: PreparedCase,
    before: Mask,
    region: ErrorRegion,
    click: PointPrompt,
) -> ClickEffect:
    after = correct([click], "automatic")
    part = (region.rows, region.columns)
    mended = (after[part] == case.reference[part]) & region.mask
    scored = case.valid if case.valid is not None else np.ones_like(before)
    right = (before == case.reference) & scored
    harmed = int((right & (after != case.reference)).sum())
    return ClickEffect(
        honoured=bool(after[round(click.y), round(click.x)]) == click.positive,
        mended=float(mended.sum() / region.area),
        harm=harmed / max(1, int(right.sum())),
        area=region.area,
        harmed=harmed,
    )


def _errors(mask: Mask, case: PreparedCase, count: int) -> list[ErrorRegion]:
    # Clicks outside the field of view are refused.
    valid = case.image.field.mask if case.valid is None else case.valid & case.image.field.mask
    return largest_errors(mask, case.reference, count, valid=valid)


def _dice(mask: Mask, case: PreparedCase) -> float:
    return count(mask, case.reference, valid=case.valid).dice
