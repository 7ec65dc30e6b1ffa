"""The status of a run, decided in one place for listing, following and resuming."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sam2lora.runs.events import (
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    ResumedEvent,
    StartedEvent,
    StepEvent,
    StoppedEvent,
)

RunState = Literal[
    "new",
    "starting",
    "running",
    "paused",
    "finished",
    "stopped",
    "failed",
    "interrupted",
    "damaged",
    "gone",
]
"""new: not started yet; starting: a process prepares its first step; interrupted: its process died
before the end, so it can be resumed; damaged: the run folder cannot be read; gone: it is missing.
"""

_ALIVE = frozenset({"starting", "running", "paused"})
_ENDED_EARLY = frozenset({"stopped", "failed", "interrupted"})
_DECIDING = (
    *(StartedEvent, ResumedEvent, StepEvent, PausedEvent),
    *(FinishedEvent, StoppedEvent, FailedEvent),
)


@dataclass(frozen=True)
class RunStatus:
    """State of a run, and the reason.

    Attributes
    ----------
    state
        State of the run (`RunState`).
    message
        Reason of the state, as a sentence or more; may be empty.
    """

    state: RunState
    message: str = ""

    @property
    def alive(self) -> bool:
        """Whether a process is training."""
        return self.state in _ALIVE

    @property
    def ended_early(self) -> bool:
        """Whether it started and ended before its last step, so that it can be resumed."""
        return self.state in _ENDED_EARLY


@dataclass(frozen=True)
class ProcessExit:
    """How the process of a run ended, which the run folder alone does not show.

    Attributes
    ----------
    code
        Exit code; negative: the signal that killed the process.
    output
        Last lines of its output.
    cancelled
        Whether the user ended it before it started to train.
    """

    code: int
    output: str = ""
    cancelled: bool = False


def deciding_event(events: Sequence[Event]) -> Event | None:
    """Return the last event that decides the status of a run; None if there is none."""
    return next((event for event in reversed(events) if isinstance(event, _DECIDING)), None)


def run_status(last: Event | None, *, alive: bool, ended: ProcessExit | None = None) -> RunStatus:
    """Return the status of a run whose folder can be read.

    Parameters
    ----------
    last
        The last deciding event (`deciding_event`); if the caller started a process, only among the
        events of this process.
    alive
        Whether a process is training, checked before the events were read, so that they include
        the last ones of a process that just ended.
    ended
        How the process that the caller started ended, if it has.
    """
    if alive:
        return RunStatus(_state_while_alive(last))
    match last:
        case FinishedEvent(words=message):
            return RunStatus("finished", message)
        case StoppedEvent(words=message):
            return RunStatus("stopped", message)
        case FailedEvent(words=message):
            return RunStatus("failed", message)
    if ended is not None:
        return _status_after(ended)
    if last is None:
        return RunStatus("new", "It has not started.")
    return RunStatus("interrupted", "Its process died without a message.")


def status_of_missing(*, alive: bool) -> RunStatus:
    """Return the status of a run whose folder no longer exists.

    Parameters
    ----------
    alive
        Whether its process is still running.
    """
    ending = " Its process ends at its next step." if alive else ""
    return RunStatus("gone", f"The run folder no longer exists.{ending}")


def _state_while_alive(last: Event | None) -> RunState:
    match last:
        case None | StartedEvent() | ResumedEvent():
            return "starting"
        case PausedEvent():
            return "paused"
        case _:
            return "running"


def _status_after(ended: ProcessExit) -> RunStatus:
    """Return the status of a run whose process wrote no last event."""
    if ended.cancelled:
        return RunStatus("stopped", "It was cancelled before it started.")
    if ended.code == 0:
        return RunStatus("finished")
    return RunStatus("interrupted", _describe_exit(ended))


def _describe_exit(ended: ProcessExit) -> str:
    """Describe how a process ended that wrote no last event."""
    code = ended.code
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        memory = ", as the system does when memory runs out" if -code == signal.SIGKILL else ""
        return f"Its process was killed ({name}){memory}."
    output = f" Its output: {ended.output}" if ended.output else ""
    return f"Its process ended with code {code}.{output}"
