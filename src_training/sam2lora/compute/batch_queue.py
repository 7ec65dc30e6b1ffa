"""The batches of a job that the workers of a Dask cluster have; needs the extra `cluster`."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic

import distributed

from sam2lora.compute.jobs import LONGEST, BatchSizes, Job, JobItem, JobResult
from sam2lora.compute.worker_count import POLL, LostError, WorkerCount, explained
from sam2lora.compute.worker_plugin import run_batch

_AHEAD = 2  # batches of each worker that are not done
_KEPT = 16  # batches of each worker, done or not, until the first of them is
_KEPT_LARGE = 3  # of large results
_DIED = (
    "the processes that worked on it died, one after the other. It may need more memory than "
    "there is, or crash a decoder."
)


@dataclass(frozen=True)
class _Batch(Generic[JobItem]):
    items: Sequence[JobItem]
    future: distributed.Future


class BatchQueue(Generic[JobItem, JobResult]):
    """The batches that workers have, in order.

    Parameters
    ----------
    client
        Dask's client of the scheduler.
    name
        Name under which the workers have the job.
    job
        The job.
    items
        Its items.
    total
        Number of the items.
    workers
        Number of the workers.
    """

    def __init__(
        self,
        client: distributed.Client,
        name: str,
        job: Job[JobItem, JobResult],
        items: Iterable[JobItem],
        total: int,
        workers: WorkerCount,
    ) -> None:
        self._client = client
        self._name = name
        self._job = job
        self._items = iter(items)
        self._sizes = BatchSizes(total, large=job.large_results)
        self._kept = _KEPT_LARGE if job.large_results else _KEPT
        self._workers = workers
        self._batches: deque[_Batch[JobItem]] = deque()

    @property
    def empty(self) -> bool:
        """Whether there is no batch."""
        return not self._batches

    def fill(self) -> None:
        """Submit batches as long as the workers can soon use more.

        Raises
        ------
        LostError
            If the scheduler or the workers are lost.
        """
        workers = self._workers.count()
        waiting = sum(not batch.future.done() for batch in self._batches)
        while waiting < _AHEAD * workers and len(self._batches) < self._kept * workers:
            items = self._sizes.take(self._items, workers)
            if not items:
                return
            self._batches.append(self._submit(items))
            waiting += 1

    def first(self) -> Sequence[JobResult]:
        """Return the results of the first batch and remove it; none if it is not done yet.

        Items of a batch that took too long are put in front as smaller ones. The items of a batch
        whose workers died are done singly; one whose workers died then becomes a failure.

        Raises
        ------
        LostError
            If the scheduler or the workers are lost.
        Exception
            What the work of an item raises.
        """
        batch = self._batches[0]
        self._poll([batch])
        try:
            results = self._results(batch)
        except distributed.KilledWorker:
            self._batches.popleft()
            return self._singly(batch.items)
        if results is None:
            return ()
        self._batches.popleft()
        self._put_back(batch.items[len(results) :])
        return results

    def cancel(self) -> None:
        """Take back all batches; those that are being worked on end by themselves."""
        self._client.cancel([batch.future for batch in self._batches], force=True)

    def _put_back(self, items: Sequence[JobItem]) -> None:
        """Submit items that come before all others."""
        self._sizes.put_back(len(items))
        rest: Iterator[JobItem] = iter(items)
        batches: list[_Batch[JobItem]] = []
        while taken := self._sizes.take(rest, self._workers.count()):
            batches.append(self._submit(taken, priority=1))
        self._batches.extendleft(reversed(batches))

    def _singly(self, items: Sequence[JobItem]) -> Sequence[JobResult]:
        """Do items that killed workers, or were blamed since a worker that was killed had them.

        Dask blames all that a dead worker had. So there are no others meanwhile, and an item that
        is blamed again is done with nothing beside it.
        """
        self._wait(self._batches)
        batches = [self._submit((item,)) for item in items]
        self._wait(batches)
        done: list[JobResult] = []
        for batch in batches:
            try:
                done += self._finish(batch)
            except distributed.KilledWorker:
                done += self._alone(batch.items)
        return done

    def _alone(self, items: Sequence[JobItem]) -> Sequence[JobResult]:
        try:
            return self._finish(self._submit(items))
        except distributed.KilledWorker:
            return [self._job.failure(item, _DIED) for item in items]

    def _finish(self, batch: _Batch[JobItem]) -> Sequence[JobResult]:
        """Wait for the results of a batch."""
        while (results := self._results(batch)) is None:
            self._poll([batch])
            self._workers.count()
        return results

    def _results(self, batch: _Batch[JobItem]) -> Sequence[JobResult] | None:
        """Return the results of a batch, or None if it is not done.

        What is done has to be done again if its worker dies before its results are fetched.
        """
        status = batch.future.status  # which may change at any time
        if status == "cancelled":
            raise LostError("The scheduler of the cluster was lost.")
        if status == "error":
            error = batch.future.exception(timeout=POLL)
            if error is None:
                return None
            raise error
        if status != "finished":
            return None
        with explained():
            try:
                results, seconds = batch.future.result(timeout=POLL)
            except TimeoutError:
                return None
        self._sizes.learn(len(results), seconds)
        return results  # type: ignore[no-any-return]

    def _wait(self, batches: Collection[_Batch[JobItem]]) -> None:
        """Wait until batches are done, as long as there are workers."""
        while not all(batch.future.done() for batch in batches):
            self._poll(batches)
            self._workers.count()

    def _poll(self, batches: Iterable[_Batch[JobItem]]) -> None:
        """Wait a while for batches."""
        futures = [batch.future for batch in batches]
        with explained(), self._client.as_current(), suppress(TimeoutError):
            distributed.wait(futures, timeout=POLL)

    def _submit(self, items: Sequence[JobItem], *, priority: int = 0) -> _Batch[JobItem]:
        with explained():
            future = self._client.submit(
                run_batch, self._name, items, LONGEST, pure=False, priority=priority
            )
        return _Batch(items, future)
