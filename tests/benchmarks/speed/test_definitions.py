"""Benchmarks have functions for their sides, and aims only for them."""

import pytest
from pydantic import ValidationError

from benchmarks.speed.definitions import BENCHMARKS, BenchmarkSettings
from benchmarks.speed.worker import SIDES


def test_every_side_has_a_function():
    sides = {
        (name, side)
        for name, benchmark in BENCHMARKS.items()
        for side in (benchmark.peer, *benchmark.sides)
    }
    assert sides == SIDES.keys()


def test_aims_are_for_existing_sides():
    for benchmark in BENCHMARKS.values():
        assert {*benchmark.time, *benchmark.memory} <= set(benchmark.sides)


def test_unknown_settings_are_refused():
    with pytest.raises(ValidationError):
        BenchmarkSettings(turns=3)
