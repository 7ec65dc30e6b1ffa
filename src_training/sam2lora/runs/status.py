"""How a run stands: one decision for whoever lists, follows or resumes runs."""

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
"""new: never begun; starting: a process prepares its first step; interrupted: its process died
before the end, so it can be resumed; damaged: the run folder cannot be read; gone: it is not there.
"""

_ALIVE = frozenset({"starting", "running", "paused"})
_ENDED_EARLY = frozenset({"stopped", "failed", "interrupted"})
_DECIDING = (
    *(StartedEvent, ResumedEvent, StepEvent, PausedEvent),
    *(FinishedEvent, StoppedEvent, FailedEvent),
)


@dataclass(frozen=True)
class RunStatus:
    """How a run stands, and why.

    Attributes
    ----------
    state
        See `RunState`.
    message
        Why it is in this state, as a sentence or more; empty where there is nothing to add.
    """

    state: RunState
    message: str = ""

    @property
    def alive(self) -> bool:
        """Whether a process trains."""
        return self.state in _ALIVE

    @property
    def ended_early(self) -> bool:
        """Whether it has begun and ended before it was done, so that it can be resumed."""
        return self.state in _ENDED_EARLY


@dataclass(frozen=True)
class ProcessExit:
    """How a process ended that was started for a run: what the run folder alone does not tell.

    Attributes
    ----------
    code
        Its exit code; negative: the signal that killed it.
    output
        The last lines it printed.
    cancelled
        Whether it was ended on purpose before it began to train.
    """

    code: int
    output: str = ""
    cancelled: bool = False


def deciding_event(events: Sequence[Event]) -> Event | None:
    """Return the last event that says how a run stands; None if there is none."""
    return next((one for one in reversed(events) if isinstance(one, _DECIDING)), None)


def run_status(last: Event | None, *, alive: bool, ended: ProcessExit | None = None) -> RunStatus:
    """Decide how a run stands whose folder can be read.

    Parameters
    ----------
    last
        The last event that says so (`deciding_event`); where a process was started by the caller,
        only of those that this process wrote.
    alive
        Whether a process trains, asked before the events were read, so that the last ones of a
        process that just ended are among them.
    ended
        How the process that the caller started ended, if it did.
    """
    if alive:
        return RunStatus(_state_while_alive(last))
    match last:
        case FinishedEvent(words=words):
            return RunStatus("finished", words)
        case StoppedEvent(words=words):
            return RunStatus("stopped", words)
        case FailedEvent(words=words):
            return RunStatus("failed", words)
    if ended is not None:
        return _status_after(ended)
    if last is None:
        return RunStatus("new", "It has not begun.")
    return RunStatus("interrupted", "Its process died without a word.")


def status_of_missing(*, alive: bool) -> RunStatus:
    """Return how a run stands whose folder is not there any more.

    Parameters
    ----------
    alive
        Whether the process that trained in it still runs.
    """
    ending = " Its process ends at its next step." if alive else ""
    return RunStatus("gone", f"The run folder is not there any more.{ending}")


def _state_while_alive(last: Event | None) -> RunState:
    match last:
        case None | StartedEvent() | ResumedEvent():
            return "starting"
        case PausedEvent():
            return "paused"
        case _:
            return "running"


def _status_after(ended: ProcessExit) -> RunStatus:
    """Return how a run stands whose process wrote no last event."""
    if ended.cancelled:
        return RunStatus("stopped", "It was called off before it began.")
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
    said = f" It said: {ended.output}" if ended.output else ""
    return f"Its process ended with code {code}.{said}"
