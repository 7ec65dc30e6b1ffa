"""Simulated corrections measure what clicks do, and would show if they did nothing."""

from collections.abc import Sequence

import numpy as np
import pytest

from sam2lora.evaluation.cases import PreparedCase
from sam2lora.evaluation.interactive import (
    DRAWS,
    MOST_CLICKS,
    ClickSequence,
    Start,
    correct_case,
)
from sam2lora.images.field_of_view import field_of_view_from_mask
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.prompts.user_prompts import PointPrompt
from sam2lora.types import Mask

SHAPE = (60, 80)


def box(top: int, bottom: int, left: int, right: int) -> Mask:
    mask = np.zeros(SHAPE, bool)
    mask[top:bottom, left:right] = True
    return mask


REFERENCE = box(10, 30, 10, 30) | box(40, 50, 40, 70)
AUTOMATIC = box(10, 30, 10, 30) | box(5, 9, 60, 75)


@pytest.fixture
def case() -> PreparedCase:
    pixels = np.zeros((*SHAPE, 3), np.uint8)
    field = field_of_view_from_mask(np.ones(SHAPE, bool))
    return PreparedCase(PreparedImage.of(pixels, field=field), REFERENCE, None)


def perfect(clicks: Sequence[PointPrompt], start: Start) -> Mask:
    """Correct the whole part that is clicked."""
    mask = AUTOMATIC.copy() if start == "automatic" else np.zeros(SHAPE, bool)
    for click in clicks:
        for part in (box(10, 30, 10, 30), box(40, 50, 40, 70), box(5, 9, 60, 75)):
            if part[int(click.y), int(click.x)]:
                mask[part] = click.positive
    return mask


def useless(clicks: Sequence[PointPrompt], start: Start) -> Mask:
    return AUTOMATIC


def harmful(clicks: Sequence[PointPrompt], start: Start) -> Mask:
    """Honour a click, and spoil a part that was right."""
    mask = AUTOMATIC.copy()
    for click in clicks:
        mask[int(click.y), int(click.x)] = click.positive
        mask[10:20, 10:30] = False
    return mask


def first(found: Sequence[ClickSequence], start: Start = "automatic") -> ClickSequence:
    return next(each for each in found if (each.start, each.placement) == (start, "middle"))


def test_perfect_corrections_reach_the_reference(case: PreparedCase) -> None:
    found = correct_case(perfect, case, name="a", seed=0)
    middle = first(found)
    assert middle.dice[-1] == 1
    assert len(middle.dice) == 3  # two errors, then nothing is left
    assert middle.dice_after(10) == 1
    assert (middle.clicks_to(0.95), middle.clicks_to(0.99)) == (1, 2)
    assert [effect.honoured for effect in middle.effects] == [True, True]
    assert [effect.mended for effect in middle.effects] == [1, 1]
    assert [effect.harm for effect in middle.effects] == [0, 0]
    assert not middle.worse
    assert first(found, "nothing").dice[0] == 0


def test_clicks_without_effect_show_as_such(case: PreparedCase) -> None:
    middle = first(correct_case(useless, case, name="a", seed=0))
    assert len(set(middle.dice)) == 1
    assert len(middle.dice) == MOST_CLICKS + 1
    assert not any(effect.honoured for effect in middle.effects)
    assert [effect.mended for effect in middle.effects] == [0, 0]
    assert middle.clicks_to(0.95) == MOST_CLICKS


def test_harm_counts_pixels_that_were_right_and_are_wrong(case: PreparedCase) -> None:
    middle = first(correct_case(harmful, case, name="a", seed=0))
    right = int((AUTOMATIC == REFERENCE).sum())
    assert middle.effects[0].harmed == 200
    assert middle.effects[0].harm == pytest.approx(200 / right)
    assert middle.effects[0].honoured
    assert middle.worse


def test_random_places_differ_between_draws_and_repeat_with_the_seed(case: PreparedCase) -> None:
    clicked: list[tuple[float, float]] = []

    def recorded(clicks: Sequence[PointPrompt], start: Start) -> Mask:
        clicked.extend((click.x, click.y) for click in clicks[-1:])
        return perfect(clicks, start)

    found = correct_case(recorded, case, name="a", seed=0)
    assert sum(each.placement == "random" for each in found) == DRAWS
    first_run = list(clicked)
    clicked.clear()
    correct_case(recorded, case, name="a", seed=0)
    assert clicked == first_run
    clicked.clear()
    correct_case(recorded, case, name="a", seed=1)
    assert clicked != first_run
