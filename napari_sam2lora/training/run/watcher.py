"""Follow a run folder without blocking the window: what happened, and how the run stands."""

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qtpy.QtCore import QObject, QTimer, Signal

from napari_sam2lora.training.run.history import RunHistory
from napari_sam2lora.training.run.process import describe_exit
from sam2lora.runs import (
    START,
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    ResumedEvent,
    RunFolder,
    StepEvent,
    StoppedEvent,
    follow_events,
    is_alive,
)

State = Literal[
    "starting", "running", "paused", "finished", "stopped", "failed", "interrupted", "gone"
]
"""interrupted: its process died without a word; gone: the run folder is not there any more."""

ALIVE = frozenset({"starting", "running", "paused"})
"""States in which a process trains."""

_TICK = 250  # milliseconds
_SOON = 20  # the same, while there is more to read
_LOOK = 8  # ticks between trials of the lock of a run that someone else started
_LIMIT = 1 << 16  # bytes of events taken at once
_SPELL = 0.03  # seconds of reading in one tick, so that a long run does not stop the window


@dataclass(frozen=True)
class RunStatus:
    """How a run stands, and why."""

    state: State
    message: str = ""

    @property
    def alive(self) -> bool:
        """Whether a process trains."""
        return self.state in ALIVE


class RunWatcher(QObject):
    """Follows one run at a time.

    Signals
    -------
    updated(history)
        Something happened in the run, or another run is followed.
    status_changed(standing)
        The run stands otherwise than before; None: it is no longer followed.
    """

    updated = Signal(object)
    status_changed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run: RunFolder | None = None
        self.history = RunHistory()
        self.standing: RunStatus | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._place = START
        self._ticks = 0
        self._last: Event | None = None  # that tells how the run stands
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
        self._place, self._ticks = START, 0
        self._last, self._called_off = None, False
        self._earlier = _size(self.run.events) if process is not None else 0
        self.refresh()
        self.updated.emit(self.history)
        self._timer.start()

    def detach(self) -> None:
        """Let the run be; a process in it goes on."""
        self._timer.stop()
        followed = self.run is not None
        self.run = self._process = self.standing = None
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
        standing = self._stand(run)
        if standing != self.standing:
            self.standing = standing
            self.status_changed.emit(standing)
        if self.run is run and not (standing.alive or self._alive or grown):
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
        of_earlier = self._earlier - self._place.offset
        limit = min(_LIMIT, of_earlier) if of_earlier > 0 else _LIMIT
        news = follow_events(self.run.events, self._place, limit=limit)
        if news.missing:
            return False
        if news.restarted:
            self.history, self._last, self._earlier = RunHistory(), None, 0
            of_earlier = 0
        moved, self._place = news.place != self._place, news.place
        self.history.add(news.events)
        if of_earlier <= 0:
            telling = (one for one in reversed(news.events) if isinstance(one, _TELLING))
            self._last = next(telling, self._last)
        return moved

    def _stand(self, run: RunFolder) -> RunStatus:
        if not run.path.is_dir():
            words = "The run folder is not there any more."
            if self._alive:
                words += " Its process ends at its next step."
            return RunStatus("gone", words)
        if self._alive:
            if isinstance(self._last, PausedEvent):
                return RunStatus("paused")
            loading = self._last is None or isinstance(self._last, ResumedEvent)
            return RunStatus("starting" if loading else "running")
        match self._last:
            case FinishedEvent(words=words):
                return RunStatus("finished", words)
            case StoppedEvent(words=words):
                return RunStatus("stopped", words)
            case FailedEvent(words=words):
                return RunStatus("failed", words)
        if self._called_off:
            return RunStatus("stopped", "It was called off before it began.")
        code = self._process.returncode if self._process is not None else None
        if code is None and not self.history.events:
            return RunStatus("interrupted", "It has not begun.")
        if code is None:
            return RunStatus("interrupted", "Its process died without a word.")
        if code == 0:
            return RunStatus("finished")
        return RunStatus("interrupted", describe_exit(code, run.path))


def _size(file: Path) -> int:
    """Give a file's size; 0 where there is none."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


_TELLING = (ResumedEvent, StepEvent, PausedEvent, FinishedEvent, StoppedEvent, FailedEvent)
