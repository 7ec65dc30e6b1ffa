"""Jobs in this process, and the size of batches."""

import os
from collections.abc import Iterator

import pytest

from sam2lora.compute.jobs import BatchSizes, run_job, timed
from sam2lora.errors import OutputError

from .jobs_for_tests import SquareJob


def test_job_is_done_in_this_process_item_by_item():
    taken = []

    def items() -> Iterator[int]:
        for item in range(5):
            taken.append(item)
            yield item

    results = run_job(SquareJob(), items(), total=5)
    assert next(results) == f"0 by {os.getpid()}"
    assert taken == [0]
    assert [text.split()[0] for text in results] == ["1", "4", "9", "16"]


def test_error_of_the_work_is_raised():
    with pytest.raises(OutputError, match="disk is full"):
        list(run_job(SquareJob(), [1, -1], total=2))


def taken(sizes: BatchSizes, items: Iterator[int]) -> int:
    return len(sizes.take(items, 2))


def test_batches_grow_to_some_seconds_of_work_and_shrink_at_the_end():
    sizes, items = BatchSizes(1000), iter(range(1000))
    assert taken(sizes, items) == 1  # nothing is known yet
    sizes.learn(1, 0.05)
    assert taken(sizes, items) == 4
    sizes.learn(4, 0.2)
    assert taken(sizes, items) == 16
    sizes.learn(16, 0.8)
    assert taken(sizes, items) == 64
    sizes.learn(64, 3.2)
    assert taken(sizes, items) == 100  # five seconds
    sizes.learn(100, 50)
    assert taken(sizes, items) == 10
    end, few = BatchSizes(8), iter(range(8))
    end.learn(1, 0.001)
    assert [taken(end, few) for _ in range(7)] == [2, 2, 1, 1, 1, 1, 0]


def test_items_put_back_count_again():
    sizes = BatchSizes(8)
    sizes.learn(1, 0.001)
    assert taken(sizes, iter(range(8))) == 2
    sizes.put_back(2)
    assert taken(sizes, iter(range(8))) == 2


def test_batches_of_large_results_are_small():
    sizes = BatchSizes(1000, large=True)
    for _ in range(9):
        sizes.learn(100, 0.1)
    assert taken(sizes, iter(range(1000))) == 4


def test_work_of_a_batch_is_timed():
    results, seconds = timed(SquareJob().open(), [2, 3], 5)
    assert [text.split()[0] for text in results] == ["4", "9"]
    assert seconds > 0.03


def test_batch_that_takes_too_long_gets_no_further_item():
    results, _ = timed(SquareJob().open(), [2, 3, 4, 5, 6], 0.05)
    assert [text.split()[0] for text in results] == ["4", "9", "16"]
    results, _ = timed(SquareJob().open(), [2, 3, 4], 0)
    assert [text.split()[0] for text in results] == ["4"]
