"""A worker thread for jobs that would block the main thread.

It runs one job at a time. A new job replaces one that waits under the same key. A low-priority job
that yields values lets the others run between two values.
"""

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

ReportProgress = Callable[[str, int, int | None], None]
"""Called by a job with a text, the steps done, and the total, if known.

It raises `Stopped` when the job is to stop.
"""

Work = Callable[[ReportProgress], Any]

_ENDS = ("done", "failed", "stopped")
"""Signals of a job's end."""


class Stopped(Exception):
    """Raised inside a job that was cancelled."""


@dataclass(eq=False)
class _Job:
    """A job, whether others run before it, and whether it was cancelled."""

    key: Hashable
    work: Work
    low_priority: bool
    stop: bool = False


class Worker(QObject):
    """Run jobs in a worker thread, and emit their results on the main thread.

    Signals
    -------
    done(key, result), failed(key, error), stopped(key)
        How each job ended.
    yielded(key, value)
        A value of a job that is a generator; its result is then None.
    progressed(text, done, total)
        What a job reports; the total is None where it is not known.
    busy_changed(busy)
        Whether any job runs or waits.
    """

    done = Signal(object, object)
    yielded = Signal(object, object)
    failed = Signal(object, object)
    stopped = Signal(object)
    progressed = Signal(str, object, object)
    busy_changed = Signal(bool)
    _event = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sam2lora")
        self._lock = Lock()
        self._waiting: dict[Hashable, _Job] = {}
        self._running: list[_Job] = []  # the last one runs, one before it waits for it
        self._closed = False
        self._open = 0  # jobs whose end has not been emitted
        # Queued: emitted on the thread this object belongs to, the main thread.
        self._event.connect(self._emit, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether the end of any job is still to be emitted."""
        return self._open > 0

    def submit(self, key: Hashable, work: Work, *, low_priority: bool = False) -> None:
        """Run a job once those before it are done, in place of one that waits under `key`.

        Parameters
        ----------
        key
            Names the job in the signals.
        work
            The job; it is called with a function to report progress to.
        low_priority
            Run other jobs first, also between two values that this one yields.
        """
        with self._lock:
            if self._closed:
                return
            new = key not in self._waiting
            self._waiting[key] = _Job(key, work, low_priority)
            self._executor.submit(self._run_next)
        self._count(int(new))

    def is_waiting(self, key: Hashable) -> bool:
        """Check whether a job waits under `key`; one that runs does not."""
        with self._lock:
            return key in self._waiting

    def pending_keys(self) -> list[Hashable]:
        """Return the keys of the jobs that wait or run."""
        with self._lock:
            return [*self._waiting, *(job.key for job in self._running)]

    def cancel(self, *keys: Hashable, but: Hashable = None) -> None:
        """Discard jobs that wait, and stop those that run when they report next.

        Parameters
        ----------
        keys
            The jobs' keys; without any, all jobs.
        but
            The key of a job that is not cancelled.
        """
        with self._lock:
            meant = {*self._waiting, *(job.key for job in self._running)} - {but}
            meant = meant.intersection(keys) if keys else meant
            forgotten = [key for key in self._waiting if key in meant]
            for key in forgotten:
                del self._waiting[key]
            for job in self._running:
                job.stop = job.stop or job.key in meant
        for key in forgotten:
            self.stopped.emit(key)
        self._count(-len(forgotten))

    def close(self) -> None:
        """End the thread after the current step; nothing is emitted any more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            for job in self._running:
                job.stop = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _run_next(self) -> None:
        job = self._take(low_priority=False) or self._take(low_priority=True)
        if job is not None:
            self._run(job)

    def _take(self, *, low_priority: bool) -> _Job | None:
        """Return the first waiting job of this priority, which then counts as running, or None."""
        with self._lock:
            waiting = (job for job in self._waiting.values() if job.low_priority == low_priority)
            job = None if self._closed else next(waiting, None)
            if job is not None:
                self._running.append(self._waiting.pop(job.key))
            return job

    def _run(self, job: _Job) -> None:
        try:
            result = job.work(partial(self._report, job))
            if isinstance(result, Iterator):
                for value in result:
                    self._post(("yielded", job.key, value))
                    while job.low_priority and (other := self._take(low_priority=False)):
                        self._run(other)
                result = None
            end: tuple[Any, ...] = ("done", job.key, result)
        except Stopped:
            end = ("stopped", job.key)
        except BaseException as error:  # emitted on the main thread, like everything
            end = ("failed", job.key, error)
        with self._lock:
            self._running.remove(job)
        self._post(end)

    def _report(self, job: _Job, text: str, done: int, total: int | None) -> None:
        if job.stop:
            raise Stopped
        self._post(("progressed", text, done, total))

    def _post(self, event: tuple[Any, ...]) -> None:
        with self._lock:
            if not self._closed:
                self._event.emit(event)

    def _emit(self, event: tuple[Any, ...]) -> None:
        if self._closed:
            return
        name, *values = event
        getattr(self, name).emit(*values)
        self._count(-1 if name in _ENDS else 0)

    def _count(self, more: int) -> None:
        before, self._open = self.busy, self._open + more
        if self.busy != before:
            self.busy_changed.emit(self.busy)
