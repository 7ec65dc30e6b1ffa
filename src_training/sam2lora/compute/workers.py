"""Do jobs on the workers of a Dask cluster, in batches; needs the extra `cluster`."""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import cached_property

import distributed
from distributed.client import ClosedClientError

from sam2lora.compute.batch_queue import BatchQueue
from sam2lora.compute.jobs import Job, JobItem, JobResult
from sam2lora.compute.worker_count import POLL, LostError, WorkerCount
from sam2lora.compute.worker_plugin import JobPlugin
from sam2lora.errors import ClusterError

_TRIES = 5  # to give a job to all workers, of which one may die at that moment


class Cluster:
    """The workers of a Dask scheduler, started or found when they are first needed.

    Parameters
    ----------
    connect
        Starts or finds the workers, and returns Dask's client of their scheduler.
    device
        Device on which each worker computes.
    patience
        Seconds to wait where there is no worker; None: forever, as jobs may wait for a machine.
    """

    def __init__(
        self,
        connect: Callable[[], distributed.Client],
        device: str,
        *,
        patience: float | None = None,
    ) -> None:
        self.device = device
        self._connect = connect
        self._patience = patience

    @cached_property
    def _client(self) -> distributed.Client:
        return self._connect()

    @cached_property
    def _workers(self) -> WorkerCount:
        return WorkerCount(self._client, self._patience)

    def run(
        self, job: Job[JobItem, JobResult], items: Iterable[JobItem], *, total: int
    ) -> Iterator[JobResult]:
        """Do a job on the workers; see `run_job`."""
        name = f"sam2lora-{uuid.uuid4().hex}"
        plugin = JobPlugin(name, job.sent(self.device))
        queue = BatchQueue[JobItem, JobResult](self._client, name, job, items, total, self._workers)
        try:
            self._register(plugin)
            while True:
                queue.fill()
                if queue.empty:
                    return
                yield from queue.first()
        except LostError as error:
            raise ClusterError(f"{error} {job.after_loss}") from error
        finally:
            with suppress(Exception):  # the scheduler may be lost
                queue.cancel()
                self._client.unregister_worker_plugin(name)

    def _register(self, plugin: JobPlugin) -> None:
        """Send a job to all workers, those that come later included."""
        for _ in range(_TRIES):
            try:
                self._client.register_plugin(plugin)
            except (CancelledError, ClosedClientError) as error:
                raise LostError("The scheduler of the cluster was lost.") from error
            except OSError as error:  # of a worker that died, if not of the scheduler
                problem: Exception = error
                self._workers.ask()
                time.sleep(POLL)
            except Exception as error:  # a worker's error of importing has no type of its own
                problem = error
                break
            else:
                return
        raise ClusterError(
            f"The workers of the cluster cannot load the work ({problem}). They need this package "
            "in the same version."
        ) from problem
