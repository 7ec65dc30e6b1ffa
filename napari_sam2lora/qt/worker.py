"""One thread beside the window's, for what takes longer than a window may stand still.

It does one thing at a time. Of what waits under the same key, the newest counts. What has many
parts and can wait lets the rest go first between them.
"""

from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal

ReportProgress = Callable[[str, int, int | None], None]
"""Called by work with what it does, how much is done, and of how much, if known.

It raises `Stopped` when the work is to stop.
"""

Work = Callable[[ReportProgress], Any]


_ENDS = ("done", "failed", "stopped")
"""Signals that tell the end of a piece of work."""


class Stopped(Exception):
    """Ends work that was cancelled."""


@dataclass(eq=False)
class _Job:
    """A piece of work: whether it lets others go first, and whether it is to stop."""

    key: Hashable
    work: Work
    patient: bool
    stop: bool = False


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
        self._waiting: dict[Hashable, _Job] = {}
        self._begun: list[_Job] = []  # the last one runs, one before it waits for it
        self._closed = False
        self._not_ended = 0  # pieces of work whose end has not been told
        # What the thread tells is passed on in the thread this object belongs to, whichever Qt.
        self._told.connect(self._pass_on, Qt.ConnectionType.QueuedConnection)

    @property
    def busy(self) -> bool:
        """Whether the end of anything is still to be told."""
        return self._not_ended > 0

    def ask(self, key: Hashable, work: Work, *, patient: bool = False) -> None:
        """Do this as soon as what was asked before is done, in place of what waits under `key`.

        Parameters
        ----------
        key, work
            What, and how it is named in the signals.
        patient
            Let work that is not patient go first, also between the values that this yields.
        """
        with self._lock:
            if self._closed:
                return
            new = key not in self._waiting
            self._waiting[key] = _Job(key, work, patient)
            self._executor.submit(self._do_next)
        self._count(int(new))

    def cancel(self, *keys: Hashable, but: Hashable = None) -> None:
        """Forget what waits, and stop what runs when it reports next.

        Parameters
        ----------
        keys
            What was asked under these; without any, everything.
        but
            The key of what goes on all the same.
        """
        with self._lock:
            meant = {*self._waiting, *(piece.key for piece in self._begun)} - {but}
            meant = meant.intersection(keys) if keys else meant
            forgotten = [key for key in self._waiting if key in meant]
            for key in forgotten:
                del self._waiting[key]
            for piece in self._begun:
                piece.stop = piece.stop or piece.key in meant
        for key in forgotten:
            self.stopped.emit(key)
        self._count(-len(forgotten))

    def close(self) -> None:
        """End the thread, after what it does just now; nothing is told any more."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            for piece in self._begun:
                piece.stop = True
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _do_next(self) -> None:
        piece = self._take(patient=False) or self._take(patient=True)
        if piece is not None:
            self._do(piece)

    def _take(self, *, patient: bool) -> _Job | None:
        """Take the first piece that waits and is patient, or is not; None if there is none."""
        with self._lock:
            waiting = (one for one in self._waiting.values() if one.patient == patient)
            piece = None if self._closed else next(waiting, None)
            if piece is not None:
                self._begun.append(self._waiting.pop(piece.key))
            return piece

    def _do(self, piece: _Job) -> None:
        try:
            result = piece.work(partial(self._report, piece))
            if isinstance(result, Iterator):
                for value in result:
                    self._tell(("yielded", piece.key, value))
                    while piece.patient and (other := self._take(patient=False)):
                        self._do(other)
                result = None
            end: tuple[Any, ...] = ("done", piece.key, result)
        except Stopped:
            end = ("stopped", piece.key)
        except BaseException as error:  # told in the window's thread, like everything
            end = ("failed", piece.key, error)
        with self._lock:
            self._begun.remove(piece)
        self._tell(end)

    def _report(self, piece: _Job, words: str, done: int, total: int | None) -> None:
        if piece.stop:
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
