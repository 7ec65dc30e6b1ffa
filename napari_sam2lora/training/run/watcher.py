"""Follow a run folder without blocking the window: what happened, and how the run stands."""

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
_SOON = 20  # the same, while there is more to read
_LOOK = 8  # ticks between trials of the lock of a run that someone else started
_LIMIT = 1 << 16  # bytes of events taken at once
_SPELL = 0.03  # seconds of reading in one tick, so that a long run does not stop the window


class RunWatcher(QObject):
    """Follows one run at a time.

    Signals
    -------
    updated(history)
        Something happened in the run, or another run is followed.
    status_changed(status)
        The run stands otherwise than before; None: it is no longer followed.
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
        self._last: Event | None = None  # that says how the run stands
        self._alive = self._called_off = False
        self._earlier = 0  # bytes of events that an earlier process wrote
        self._timer = QTimer(self)
        self._timer.setInterval(_TICK)
        self._timer.timeout.connect(self.refresh)

    def attach(self, run: Path, process: "subprocess.Popen[bytes] | None" = None) -> None:
        """Follow a run from its beginning; of a long one, the rest is read little by little.

        Parameters
        ----------
        run
            The run folder.
        process
            That trains there, if it was started here.
        """
        self.detach()
        self.run, self._process = RunFolder(run), process
        self._position, self._ticks = START, 0
        self._last, self._called_off = None, False
        self._earlier = _size(self.run.events) if process is not None else 0
        self.refresh()
        self.updated.emit(self.history)
        self._timer.start()

    def detach(self) -> None:
        """Let the run be; a process in it goes on."""
        self._timer.stop()
        followed = self.run is not None
        self.run = self._process = self.status = None
        self.history = RunHistory()
        if followed:
            self.status_changed.emit(None)

    def cancel_start(self) -> bool:
        """End a process that was started here and has not begun to train; nothing is lost by it.

        It would not see a request: what was asked before it holds its run is not asked of it.

        Returns
        -------
        Whether there was one.
        """
        process, run = self._process, self.run
        if process is None or run is None or process.poll() is not None or is_alive(run.path):
            return False
        self._called_off = True
        process.terminate()
        return True

    def refresh(self) -> None:
        """Take what is new, now."""
        run = self.run
        if run is None:
            return
        self._look_after_process(run)
        grown, whole = self._read_a_spell()
        if grown:
            self.updated.emit(self.history)
        self._timer.setInterval(_TICK if whole else _SOON)
        if self.run is not run or not (whole or self._alive):
            return  # how it stands is in what is not read yet
        status = self._find_status(run)
        if status != self.status:
            self.status = status
            self.status_changed.emit(status)
        if self.run is run and not (status.alive or self._alive or grown):
            self._timer.stop()

    def _look_after_process(self, run: RunFolder) -> None:
        """Ask whether a process trains; before the events, so that the last of them are there."""
        if self._process is not None and self._process.poll() is None:
            self._alive, self._ticks = True, 0
            return
        # One that was started elsewhere may hold the run, which kept our own from beginning.
        if self._ticks % _LOOK == 0:
            self._alive = is_alive(run.path)
        self._ticks += 1

    def _read_a_spell(self) -> tuple[bool, bool]:
        """Take events for a short while; tell whether there were any, and whether that was all."""
        end, grown = time.perf_counter() + _SPELL, False
        while self._read():
            grown = True
            if time.perf_counter() > end:
                return True, False
        return grown, True

    def _read(self) -> bool:
        """Take the next events; tell whether there were any."""
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
        """Return how the run stands, by what is on disk and by the process that was started."""
        if not run.path.is_dir():
            return status_of_missing(alive=self._alive)
        if not self._alive and (found := summarize(run.path)).state == "damaged":
            return found.status
        return run_status(self._last, alive=self._alive, ended=self._exit(run))

    def _exit(self, run: RunFolder) -> ProcessExit | None:
        """Return how the process that was started here ended, if there was one and it has."""
        code = self._process.returncode if self._process is not None else None
        if code is None:
            return None
        return ProcessExit(code, last_output(run.path), cancelled=self._called_off)


def _size(file: Path) -> int:
    """Give a file's size; 0 where there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0
