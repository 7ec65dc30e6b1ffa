"""One thread beside the window's, for what takes longer than a window may stand still.

It does one thing at a time. Of what waits under the same key, the newest counts.
"""

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

Report = Callable[[str, int, int | None], None]
"""Called by work with what it does, how much is done, and of how much, if known.

It raises `Stopped` when the work is to stop.
"""

Work = Callable[[Report], Any]


_ENDS = ("done", "failed", "stopped")
"""Signals that tell the end of a piece of work."""


class Stopped(Exception):
    """Ends work that was cancelled."""


class Worker(QObject):
    """Does work in a thread, and tells in the window's thread what came of it.

    Signals
    -------
    done(key, result), failed(key, error), stopped(key)
        How each piece of work ended.
    yielded(key, value)
        What a piece of work that is a generator gives on its way; its result is then None.
    progressed(words, done, total)
        What a piece of work reports; the total is None where it is not known.
    busy_changed(busy)
        Whether anything runs or waits.
    """

    done = Signal(object, object)
    yielded = Signal(object, object)
    failed = Signal(object, object)
    stopped = Signal(object)
    progressed = Signal(str, object, object)
    busy_changed = Signal(bool)
    _told = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sam2lora")
        self._lock = Lock()
        self._waiting: dict[Hashable, Work] = {}
        self._running = False
        self._stop = False
        self._closed = False
        self._not_ended = 0  # pieces of work whose end has not been told
        # What the thread tells is passed on in the thread this object belongs to, whichever Qt.
        self._told.connect(self._pass_on, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether the end of anything is still to be told."""
        return self._not_ended > 0

    def ask(self, key: Hashable, work: Work) -> None:
        """Do this as soon as what was asked before is done, in place of what waits under `key`."""
        with self._lock:
            if self._closed:
                return
            new = key not in self._waiting
            self._waiting[key] = work
            self._executor.submit(self._do_next)
        self._count(int(new))

    def cancel(self) -> None:
        """Forget what waits, and stop what runs when it reports next."""
        with self._lock:
            forgotten = list(self._waiting)
            self._waiting.clear()
            self._stop = self._running
        for key in forgotten:
            self.stopped.emit(key)
        self._count(-len(forgotten))

    def close(self) -> None:
        """End the thread, after what it does just now; nothing is told any more."""
        with self._lock:
            self._closed = self._stop = True
            self._waiting.clear()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _do_next(self) -> None:
        with self._lock:
            if not self._waiting or self._closed:
                return
            key = next(iter(self._waiting))
            work = self._waiting.pop(key)
            self._running, self._stop = True, False
        try:
            result = work(self._report)
            if isinstance(result, Iterator):
                for value in result:
                    self._tell(("yielded", key, value))
                result = None
            end: tuple[Any, ...] = ("done", key, result)
        except Stopped:
            end = ("stopped", key)
        except BaseException as error:  # told in the window's thread, like everything
            end = ("failed", key, error)
        with self._lock:
            self._running = False
        self._tell(end)

    def _report(self, words: str, done: int, total: int | None) -> None:
        if self._stop:
            raise Stopped
        self._tell(("progressed", words, done, total))

    def _tell(self, told: tuple[Any, ...]) -> None:
        with self._lock:
            if not self._closed:
                self._told.emit(told)

    def _pass_on(self, told: tuple[Any, ...]) -> None:
        if self._closed:
            return
        name, *values = told
        getattr(self, name).emit(*values)
        self._count(-1 if name in _ENDS else 0)

    def _count(self, more: int) -> None:
        before, self._not_ended = self.busy, self._not_ended + more
        if self.busy != before:
            self.busy_changed.emit(self.busy)
