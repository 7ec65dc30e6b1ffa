"""Do jobs on the workers of a Dask cluster, in batches; needs the extra `cluster`."""

import time
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Generic

import distributed
from distributed.client import ClosedClientError

from sam2lora.compute.jobs import BatchSizes, Job, JobItem, JobResult
from sam2lora.compute.worker_plugin import JobPlugin, run_batch
from sam2lora.errors import ClusterError

_AHEAD = 2  # batches of each worker that are not done
_KEPT = 16  # batches of each worker, done or not, until the first of them is
_POLL = 1.0  # seconds after which workers that joined get batches

LOCAL_PATIENCE = 120.0
"""Seconds in which a worker of this machine that died is there again, or will never be."""

_LOST = (
    "The scheduler of the cluster was lost. What is written stays, and the same command goes on "
    "from there."
)
_GONE = (
    "All workers ended, and none was there again after {patience:.0f} seconds. What is written "
    "stays, and the same command goes on from there."
)
_DIED = (
    "the processes that worked on it died, one after the other. It may need more memory than "
    "there is, or crash a decoder."
)


class Cluster:
    """The workers of a Dask scheduler.

    Parameters
    ----------
    client
        Dask's client of the scheduler.
    device
        Device on which each worker computes.
    patience
        Seconds to wait where there is no worker; None: forever, as jobs may wait for a machine.
    """

    def __init__(
        self, client: distributed.Client, device: str, *, patience: float | None = None
    ) -> None:
        self.device = device
        self._client = client
        self._workers = _Workers(client, patience)

    def run(
        self, job: Job[JobItem, JobResult], items: Iterable[JobItem], *, total: int
    ) -> Iterator[JobResult]:
        """Do a job on the workers; see `run_job`."""
        name = f"sam2lora-{uuid.uuid4().hex}"
        plugin = JobPlugin(name, job.sent(self.device))
        try:
            with _explained():
                self._client.register_plugin(plugin)
        except ClusterError:
            raise
        except Exception as error:  # a worker's error of importing has no type of its own
            raise ClusterError(
                f"The workers of the cluster cannot load the work ({error}). They need this "
                "package in the same version."
            ) from error
        queue = _Queue[JobItem, JobResult](
            self._client, name, job, iter(items), BatchSizes(total), self._workers
        )
        try:
            while True:
                queue.fill()
                if queue.empty:
                    return
                yield from queue.first()
        finally:
            with suppress(Exception):  # the scheduler may be lost
                queue.cancel()
                self._client.unregister_worker_plugin(name)


@dataclass(frozen=True)
class _Batch(Generic[JobItem]):
    items: Sequence[JobItem]
    future: distributed.Future


class _Queue(Generic[JobItem, JobResult]):
    """The batches that workers have, in order."""

    def __init__(
        self,
        client: distributed.Client,
        name: str,
        job: Job[JobItem, JobResult],
        items: Iterator[JobItem],
        sizes: BatchSizes,
        workers: "_Workers",
    ) -> None:
        self._client = client
        self._name = name
        self._job = job
        self._items = items
        self._sizes = sizes
        self._workers = workers
        self._batches: deque[_Batch[JobItem]] = deque()

    @property
    def empty(self) -> bool:
        """Whether there is no batch."""
        return not self._batches

    def fill(self) -> None:
        """Submit batches as long as the workers can soon use more."""
        workers = self._workers.count()
        waiting = sum(not batch.future.done() for batch in self._batches)
        while waiting < _AHEAD * workers and len(self._batches) < _KEPT * workers:
            items = tuple(islice(self._items, self._sizes.next(workers)))
            if not items:
                return
            self._batches.append(self._submit(items))
            waiting += 1

    def first(self) -> Sequence[JobResult]:
        """Return the results of the first batch and remove it; none if it is not done yet.

        The items of a batch whose workers died are done one by one, and one whose workers died then
        becomes a failure.
        """
        batch = self._batches[0]
        self._poll([batch])
        if not batch.future.done():
            return ()
        self._batches.popleft()
        results = self._results(batch)
        return self._one_by_one(batch.items) if results is None else results

    def _one_by_one(self, items: Sequence[JobItem]) -> Sequence[JobResult]:
        """Do items with nothing beside them, since Dask blames all that a dead worker had."""
        self._wait(self._batches)
        done: list[JobResult] = []
        for item in items:
            batch = self._submit((item,))
            self._wait([batch])
            results = self._results(batch)
            done += [self._job.failure(item, _DIED)] if results is None else results
        return done

    def _results(self, batch: _Batch[JobItem]) -> Sequence[JobResult] | None:
        """Return the results of a batch that is done, or None if its workers died."""
        if batch.future.status == "finished":
            with _explained():
                results, seconds = batch.future.result()
            self._sizes.learn(len(batch.items), seconds)
            return results  # type: ignore[no-any-return]
        if batch.future.status != "error":
            raise ClusterError(_LOST)
        error = batch.future.exception()
        if isinstance(error, distributed.KilledWorker):
            return None
        raise error

    def _wait(self, batches: Collection[_Batch[JobItem]]) -> None:
        """Wait until batches are done, as long as there are workers."""
        while not all(batch.future.done() for batch in batches):
            self._poll(batches)
            self._workers.count()

    def _poll(self, batches: Iterable[_Batch[JobItem]]) -> None:
        """Wait a while for batches."""
        futures = [batch.future for batch in batches]
        with _explained(), self._client.as_current(), suppress(TimeoutError):
            distributed.wait(futures, timeout=_POLL)

    def cancel(self) -> None:
        """Take back all batches; those that are being worked on end by themselves."""
        self._client.cancel([batch.future for batch in self._batches], force=True)

    def _submit(self, items: Sequence[JobItem]) -> _Batch[JobItem]:
        with _explained():
            return _Batch(items, self._client.submit(run_batch, self._name, items, pure=False))


class _Workers:
    """The number of workers, asked for now and then."""

    def __init__(self, client: distributed.Client, patience: float | None) -> None:
        self._client = client
        self._patience = patience
        self._count, self._asked = 1, -_POLL
        self._gone: float | None = None  # since when there is none

    def count(self) -> int:
        """Return how many workers there are, at least 1.

        Raises
        ------
        ClusterError
            If there has been none for longer than the patience.
        """
        now = time.monotonic()
        if now - self._asked >= _POLL:
            found = self._ask()
            self._gone = None if found else self._gone or now
            gone = 0.0 if self._gone is None else now - self._gone
            if self._patience is not None and gone > self._patience:
                raise ClusterError(_GONE.format(patience=self._patience))
            self._count, self._asked = max(1, found), now
        return self._count

    def _ask(self) -> int:
        scheduler = self._client.scheduler
        if scheduler is None:  # which Dask's own methods do not expect
            raise ClusterError(_LOST)
        with _explained():
            return len(self._client.sync(scheduler.ncores, workers=None))


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what Dask raises where a scheduler is lost into a ClusterError."""
    try:
        yield
    except (OSError, CancelledError, ClosedClientError) as error:
        raise ClusterError(_LOST) from error
