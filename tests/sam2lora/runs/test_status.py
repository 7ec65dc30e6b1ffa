"""The status of a run follows from its events, its process, and how that ended."""

import signal

import pytest

from sam2lora.runs import (
    CheckpointEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    PreviewEvent,
    ProcessExit,
    ResumedEvent,
    RunStatus,
    StartedEvent,
    StepEvent,
    StoppedEvent,
    ValidationEvent,
    WarningEvent,
    deciding_event,
    run_status,
    status_of_missing,
)

STARTED = StartedEvent(target="disc", base="nano", steps=40)
STEP = StepEvent(step=3, loss=0.5, terms={}, lr=1e-3, seconds=0.2, host_bytes=10**9)
PAUSED = PausedEvent(step=3)
ASIDE = [
    WarningEvent(step=3, words="x"),
    CheckpointEvent(step=3),
    PreviewEvent(step=3, path="previews/3.png"),
    ValidationEvent(step=3, dice={}, mean=0.5, best=0.5, best_step=3),
]


def test_events_without_a_status_are_skipped() -> None:
    assert deciding_event([]) is None
    assert deciding_event(ASIDE) is None
    assert deciding_event([STARTED, PAUSED, *ASIDE]) == PAUSED


@pytest.mark.parametrize(
    ("last", "asleep", "awake"),
    [
        (None, "new", "starting"),
        (STARTED, "interrupted", "starting"),
        (ResumedEvent(step=3), "interrupted", "starting"),
        (STEP, "interrupted", "running"),
        (PAUSED, "interrupted", "paused"),
        (FinishedEvent(step=40), "finished", "running"),
        (StoppedEvent(step=3), "stopped", "running"),
        (FailedEvent(step=3, reason="ImageError", words="x"), "failed", "running"),
    ],
    ids=lambda value: getattr(value, "kind", str(value)),
)
def test_state_follows_from_the_last_event_and_the_process(
    last: Event | None, asleep: str, awake: str
) -> None:
    assert run_status(last, alive=False).state == asleep
    assert run_status(last, alive=True) == RunStatus(awake)


@pytest.mark.parametrize(
    ("last", "message"),
    [
        (None, "It has not started."),
        (STEP, "Its process died without a message."),
        (FinishedEvent(step=3, words="Not better."), "Not better."),
        (StoppedEvent(step=3, words="On request."), "On request."),
        (FailedEvent(step=3, reason="ImageError", words="21.tif is gone"), "21.tif is gone"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_message_gives_the_reason(last: Event | None, message: str) -> None:
    assert run_status(last, alive=False).message == message


@pytest.mark.parametrize("last", [None, STARTED, STEP, PAUSED])
def test_exit_of_its_process_decides_where_no_last_event_was_written(last: Event | None) -> None:
    def status(code: int, **more: object) -> RunStatus:
        return run_status(last, alive=False, ended=ProcessExit(code, **more))

    assert status(0) == RunStatus("finished")
    assert status(1) == RunStatus("interrupted", "Its process ended with code 1.")
    assert status(1, output="no disk").message == (
        "Its process ended with code 1. Its output: no disk"
    )
    cancelled = RunStatus("stopped", "It was cancelled before it started.")
    assert status(-15, cancelled=True) == cancelled


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signals end processes here")
def test_killing_signal_is_named() -> None:
    killed = run_status(STEP, alive=False, ended=ProcessExit(-signal.SIGKILL))
    assert killed.message == (
        "Its process was killed (SIGKILL), as the system does when memory runs out."
    )
    other = run_status(STEP, alive=False, ended=ProcessExit(-signal.SIGTERM))
    assert other.message == "Its process was killed (SIGTERM)."
    assert "signal 250" in run_status(STEP, alive=False, ended=ProcessExit(-250)).message


def test_last_event_says_more_than_the_exit_code() -> None:
    failed = FailedEvent(step=3, reason="ImageError", words="21.tif is gone")
    assert run_status(failed, alive=False, ended=ProcessExit(2)).state == "failed"


def test_missing_folder_is_gone_even_while_its_process_runs() -> None:
    assert status_of_missing(alive=False).state == "gone"
    assert "ends at its next step" in status_of_missing(alive=True).message


@pytest.mark.parametrize(
    ("state", "alive", "ended_early"),
    [
        ("new", False, False),
        ("starting", True, False),
        ("running", True, False),
        ("paused", True, False),
        ("finished", False, False),
        ("stopped", False, True),
        ("failed", False, True),
        ("interrupted", False, True),
        ("damaged", False, False),
        ("gone", False, False),
    ],
)
def test_states_are_alive_or_resumable_or_neither(
    state: str, alive: bool, ended_early: bool
) -> None:
    status = RunStatus(state)
    assert (status.alive, status.ended_early) == (alive, ended_early)
