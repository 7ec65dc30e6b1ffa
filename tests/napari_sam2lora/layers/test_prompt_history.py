"""Undo history of prompts."""

import json

import numpy as np
import pytest

from napari_sam2lora.layers.prompt_history import (
    PromptHistory,
    history_notes,
    history_of,
    same_prompts,
)
from sam2lora.datasets.ellipses import Ellipse
from sam2lora.errors import SessionError
from sam2lora.prompts.user_prompts import PointPrompt, Prompts

INSIDE = np.zeros((20, 20), bool)
INSIDE[5:15, 5:15] = True


def points(*positions: tuple[float, float], box: tuple | None = None) -> Prompts:
    return Prompts(points=tuple(PointPrompt(x, y) for x, y in positions), box=box)


def positions(history: PromptHistory) -> list[list[tuple[float, float]]]:
    """Return the positions (x, y) of the points of every step."""
    return [[(point.x, point.y) for point in step.points] for step in history.steps]


def test_new_history_has_one_empty_step():
    history = PromptHistory()
    assert (len(history.steps), history.current) == (1, 0)
    assert history.steps[0].empty


def test_adding_discards_undone_steps():
    history = PromptHistory()
    for x in (6, 7, 8):
        history.add(points((x, 6)))
    history.current = 1
    history.add(points((9, 9)))
    assert positions(history) == [[], [(6, 6)], [(9, 9)]]
    assert history.current == 2


def test_histories_do_not_share_their_steps():
    first, second = PromptHistory(), PromptHistory()
    first.add(points((6, 6)))
    assert len(second.steps) == 1


def test_keep_inside_removes_outside_points_and_steps_that_become_equal():
    history = PromptHistory()
    history.add(points((1, 1)))
    history.add(points((1, 1), (6, 6)))
    history.add(points((1, 1), (6, 6), (8, 8)))
    history.keep_inside(INSIDE)
    assert positions(history) == [[], [(6, 6)], [(6, 6), (8, 8)]]
    assert history.current == 2


def test_keep_inside_stays_at_the_same_step_after_undo():
    history = PromptHistory()
    history.add(points((1, 1)))
    history.add(points((1, 1), (6, 6)))
    history.add(points((1, 1), (6, 6), (8, 8)))
    history.current = 2
    history.keep_inside(INSIDE)
    assert positions(history)[history.current] == [(6, 6)]
    history.current = 0
    history.keep_inside(INSIDE)
    assert history.current == 0


def test_prompts_are_the_same_if_points_and_box_are():
    assert same_prompts(points((6, 6)), points((6, 6)))
    assert not same_prompts(points((6, 6)), points((6, 7)))
    assert not same_prompts(points(box=(5, 5, 9, 9)), points())
    negative = Prompts(points=(PointPrompt(6, 6, positive=False),))
    assert not same_prompts(points((6, 6)), negative)


def test_history_comes_back_from_json():
    history = PromptHistory()
    history.add(Prompts((PointPrompt(1.5, 2, positive=False, branch=True),), box=(0, 1, 5, 6)))
    history.add(Prompts(outline=Ellipse(10, 20, 3, 4, 15)))
    history.current = 1
    again = history_of(json.loads(json.dumps(history_notes(history))))
    assert again.current == 1
    assert all(same_prompts(a, b) for a, b in zip(again.steps, history.steps, strict=True))


@pytest.mark.parametrize(
    "notes", [{}, {"steps": [], "current": 0}, {"steps": [{"points": 3}], "current": 0}]
)
def test_damaged_history_is_refused(notes: dict):
    with pytest.raises(SessionError, match="damaged"):
        history_of(notes)


def test_neither_undone_nor_earlier_steps_are_left_where_a_history_ends():
    history = PromptHistory()
    for x in (6, 7, 8):
        history.add(points((x, 6)))
    history.current = 2
    history.end_here()
    assert positions(history) == [[(7, 6)]]
    assert history.current == 0
