"""Jobs over many items, done in this process, or in batches by the workers of a cluster.

The results are the same, and come in the same order, wherever a job is done.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, ClassVar, Generic, Self, TypeVar

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster

JobItem = TypeVar("JobItem")
JobResult = TypeVar("JobResult")

JobWork = Callable[[Iterable[JobItem]], Iterator[JobResult]]
"""Yields one result for each item, in order; items are taken one by one, as they are needed."""

_SECONDS = 5.0  # that a batch takes: Dask's overhead is small then, and progress is smooth
_LARGEST = 256  # items of a batch
_LARGEST_OF_LARGE = 4  # the same, if each result is large
_GROWTH = 4  # times the size of the batch before

LONGEST = 4 * _SECONDS
"""Seconds after which a batch gets no further item: some items take much longer than others."""


class Job(ABC, Generic[JobItem, JobResult]):
    """What is done with each of many items.

    Attributes
    ----------
    large_results
        Whether a result has masks or the like: few of them are in memory at a time then.
    after_loss
        What is left when a cluster is lost, and what the same command does then; a sentence.
    """

    large_results: ClassVar[bool] = False
    after_loss: ClassVar[str] = "What is written stays, and the same command continues from there."

    @abstractmethod
    def open(self) -> JobWork[JobItem, JobResult]:
        """Load what all items need, such as a network; called once in each process."""

    @abstractmethod
    def failure(self, item: JobItem, reason: str) -> JobResult:
        """Return the result of an item whose workers died, again and again."""

    def sent(self, device: str) -> Self:
        """Return the job as workers get it, which compute on `device`.

        It has nothing that cannot leave this process.
        """
        return self


def run_job(
    job: Job[JobItem, JobResult],
    items: Iterable[JobItem],
    *,
    total: int,
    cluster: "Cluster | None" = None,
) -> Generator[JobResult, None, None]:
    """Do a job.

    Parameters
    ----------
    job
        The job.
    items
        The items, taken one by one shortly before they are worked on.
    total
        Number of the items.
    cluster
        Where it is done; None: in this process.

    Yields
    ------
    The result of each item, in order.

    Raises
    ------
    ClusterError
        If the cluster is lost, or a worker has another version of this program.
    Exception
        What the work of an item raises.
    """
    if cluster is None:
        yield from job.open()(items)
    else:
        yield from cluster.run(job, items, total=total)


class BatchSizes:
    """How many items the next batch has: few at first and at the end, else some seconds of work.

    Parameters
    ----------
    total
        Number of all items.
    large
        Whether each result is large.
    """

    def __init__(self, total: int, *, large: bool = False) -> None:
        self._left = total
        self._largest = _LARGEST_OF_LARGE if large else _LARGEST
        self._size = 1

    def take(self, items: Iterator[JobItem], workers: int) -> tuple[JobItem, ...]:
        """Take the items of the next batch; none if there are no more."""
        size = min(self._size, max(1, math.ceil(self._left / (2 * workers))))
        taken = tuple(islice(items, size))
        self._left -= len(taken)
        return taken

    def put_back(self, items: int) -> None:
        """Count items that were taken, and not done, as not taken."""
        self._left += items

    def learn(self, items: int, seconds: float) -> None:
        """Adapt to how long a batch took."""
        wanted = round(_SECONDS * items / max(seconds, 1e-3))
        self._size = max(1, min(wanted, _GROWTH * self._size, self._largest))


def timed(
    work: JobWork[JobItem, JobResult], items: Iterable[JobItem], longest: float
) -> tuple[list[JobResult], float]:
    """Return the results of a batch, and how many seconds it took.

    After `longest` seconds there are no further items: the results are those of the first ones, of
    one at least.
    """
    start = time.perf_counter()

    def taken() -> Iterator[JobItem]:
        for number, item in enumerate(items):
            if number and time.perf_counter() - start > longest:
                return
            yield item

    return list(work(taken())), time.perf_counter() - start
