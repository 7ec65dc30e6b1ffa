"""Follow a run folder without blocking the window: its events and its status."""

import subprocess
import time
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.training.run.history import RunHistory
from napari_sam2lora.training.run.process import last_output
from sam2lora.runs import (
    START,
    Event,
    ProcessExit,
    RunFolder,
    RunStatus,
    deciding_event,
    follow_events,
    is_alive,
    run_status,
    status_of_missing,
    summarize,
)

_TICK = 250  # milliseconds
_TICK_READING = 20  # milliseconds, while there is more to read
_LOCK_EVERY = 8  # ticks between checks of the lock of a run that was started elsewhere
_LIMIT = 1 << 16  # bytes of events read at once
_READING = 0.03  # seconds of reading in one tick, so that a long run does not block the window


class RunWatcher(QObject):
    """Follows one run at a time.

    Signals
    -------
    updated(history)
        There are new events, or another run is followed.
    status_changed(status)
        The status of the run has changed; None: it is no longer followed.
    """

    updated = Signal(object)
    status_changed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run: RunFolder | None = None
        self.history = RunHistory()
        self.status: RunStatus | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._position = START
        self._ticks = 0
        self._last: Event | None = None  # that decides the status
        self._alive = self._cancelled = False
        self._earlier = 0  # bytes of events of an earlier process
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK)
        self._timer.timeout.connect(self.refresh)

    def attach(self, run: Path, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Follow a run from its first event; the events of a long run are read in several ticks.

        Parameters
        ----------
        run
            The run folder.
        process
            The process that trains the run, if it was started here.
        """
        self.detach()
        self.run, self._process = RunFolder(run), process
        self._position, self._ticks = START, 0
        self._last, self._cancelled = None, False
        self._earlier = _size(self.run.events) if process is not None else 0
        self.refresh()
        self.updated.emit(self.history)
        self._timer.start()

    def detach(self) -> None:
        """Stop following the run; its process continues."""
        self._timer.stop()
        followed = self.run is not None
        self.run = self._process = self.status = None
        self.history = RunHistory()
        if followed:
            self.status_changed.emit(None)

    def cancel_start(self) -> bool:
        """End a process that was started here and does not train yet.

        A request to stop would not reach it: it ignores those from before it locks its run.

        Returns
        -------
        Whether there was such a process.
        """
        process, run = self._process, self.run
        if process is None or run is None or process.poll() is not None or is_alive(run.path):
            return False
        self._cancelled = True
        process.terminate()
        return True

    def refresh(self) -> None:
        """Read new events and the status now."""
        run = self.run
        if run is None:
            return
        self._check_process(run)
        new, complete = self._read_for_a_tick()
        if new:
            self.updated.emit(self.history)
        self._timer.setInterval(_TICK if complete else _TICK_READING)
        if self.run is not run or not (complete or self._alive):
            return  # events that are not read yet decide the status
        status = self._find_status(run)
        if status != self.status:
            self.status = status
            self.status_changed.emit(status)
        if self.run is run and not (status.alive or self._alive or new):
            self._timer.stop()

    def _check_process(self, run: RunFolder) -> None:
        """Check whether a process trains; before reading, so that its last events are read."""
        if self._process is not None and self._process.poll() is None:
            self._alive, self._ticks = True, 0
            return
        # A process that was started elsewhere may hold the lock.
        if self._ticks % _LOCK_EVERY == 0:
            self._alive = is_alive(run.path)
        self._ticks += 1

    def _read_for_a_tick(self) -> tuple[bool, bool]:
        """Read events for a short time; return whether there were any, and whether all are read."""
        end, new = time.perf_counter() + _READING, False
        while self._read():
            new = True
            if time.perf_counter() > end:
                return True, False
        return new, True

    def _read(self) -> bool:
        """Read the next events; return whether there were any."""
        if self.run is None:
            return False
        of_earlier = self._earlier - self._position.offset
        limit = min(_LIMIT, of_earlier) if of_earlier > 0 else _LIMIT
        news = follow_events(self.run.events, self._position, limit=limit)
        if news.missing:
            return False
        if news.restarted:
            self.history, self._last, self._earlier = RunHistory(), None, 0
            of_earlier = 0
        moved, self._position = news.position != self._position, news.position
        self.history.add(news.events)
        if of_earlier <= 0:
            self._last = deciding_event(news.events) or self._last
        return moved

    def _find_status(self, run: RunFolder) -> RunStatus:
        """Return the status of the run, from its folder and the process that was started here."""
        if not run.path.is_dir():
            return status_of_missing(alive=self._alive)
        if not self._alive and (found := summarize(run.path)).state == "damaged":
            return found.status
        return run_status(self._last, alive=self._alive, ended=self._exit(run))

    def _exit(self, run: RunFolder) -> ProcessExit | None:
        """Return how the process that was started here ended; None if it has not."""
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return None
        return ProcessExit(code, last_output(run.path), cancelled=self._cancelled)


def _size(file: Path) -> int:
    """Return the size of a file in bytes; 0 if it does not exist."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
