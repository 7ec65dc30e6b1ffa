"""Questions: each has its sides, and aims only for them."""

import pytest
from pydantic import ValidationError

from benchmarks.speed.definitions import BENCHMARKS, BenchmarkSettings
from benchmarks.speed.worker import SIDES


def test_every_side_can_be_made():
    named = {(q, side) for q, asked in BENCHMARKS.items() for side in (asked.peer, *asked.sides)}
    assert named == SIDES.keys()


def test_aims_are_for_sides_that_are_there():
    for asked in BENCHMARKS.values():
        assert {*asked.time, *asked.memory} <= set(asked.sides)


def test_unknown_conditions_are_refused():
    with pytest.raises(ValidationError):
        BenchmarkSettings(turns=3)
