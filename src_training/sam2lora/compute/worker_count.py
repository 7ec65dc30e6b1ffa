"""The number of a scheduler's workers, and what its loss raises; needs the extra `cluster`."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager

import distributed
from distributed.client import ClosedClientError

from sam2lora.errors import ClusterError

POLL = 1.0
"""Seconds after which it is looked again what became of workers and batches."""

LOCAL_PATIENCE = 120.0
"""Seconds in which a worker of this machine that died is there again, or will never be."""

_SAY_EVERY = 60.0  # seconds

logger = logging.getLogger(__name__)


class LostError(ClusterError):
    """A job lost its scheduler or all its workers; what is left of it is for the job to say."""


class WorkerCount:
    """The number of workers, asked for now and then.

    Parameters
    ----------
    client
        Dask's client of the scheduler.
    patience
        Seconds to wait where there is no worker; None: forever, as jobs may wait for a machine.
    """

    def __init__(self, client: distributed.Client, patience: float | None) -> None:
        self._client = client
        self._patience = patience
        self._count, self._asked = 1, -POLL
        self._gone: float | None = None  # since when there is none
        self._said = 0.0

    def count(self) -> int:
        """Return how many workers there are, at least 1.

        Raises
        ------
        LostError
            If there has been none for longer than the patience, or the scheduler is lost.
        """
        now = time.monotonic()
        if now - self._asked >= POLL:
            found = self.ask()
            if found:
                self._gone = None
            else:
                self._wait(now)
            self._count, self._asked = max(1, found), now
        return self._count

    def ask(self) -> int:
        """Return how many workers there are now.

        Raises
        ------
        LostError
            If the scheduler is lost.
        """
        scheduler = self._client.scheduler
        if scheduler is None:  # which Dask's own methods do not expect
            raise LostError("The scheduler of the cluster was lost.")
        with explained():
            return len(self._client.sync(scheduler.ncores, workers=None))

    def _wait(self, now: float) -> None:
        """Report that there is no worker, or end where that has lasted for too long."""
        if self._gone is None:
            self._gone = self._said = now
        gone = now - self._gone
        if self._patience is not None and gone > self._patience:
            raise LostError(
                f"All workers ended, and none was there again after {self._patience:.0f} seconds."
            )
        if now - self._said >= _SAY_EVERY:
            self._said = now
            logger.warning(
                "Waiting for workers: none for %.0f minutes. If their jobs run, look at what those "
                "print: a worker without this package ends at once.",
                gone / 60,
            )


@contextmanager
def explained() -> Iterator[None]:
    """Turn what Dask raises where a scheduler is lost into a LostError."""
    try:
        yield
    except (OSError, CancelledError, ClosedClientError) as error:
        raise LostError("The scheduler of the cluster was lost.") from error
