"""The worker thread."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.qt.worker import ReportProgress, Stopped, Worker

WAIT = 20_000  # milliseconds


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def signals(worker: Worker) -> list[tuple[Any, ...]]:
    """Collect the signals, and check that they are emitted on the main thread."""
    collected: list[tuple[Any, ...]] = []

    def record(name: str) -> Callable[..., None]:
        def add(*values: Any) -> None:
            assert threading.current_thread() is threading.main_thread()
            collected.append((name, *values))

        return add

    for name in ("done", "failed", "stopped", "yielded", "progressed", "busy_changed"):
        getattr(worker, name).connect(record(name))
    return collected


class Gate:
    """A job that waits until its gate is opened."""

    def __init__(self, result: object = None) -> None:
        self.begun, self.open, self.result = threading.Event(), threading.Event(), result

    def __call__(self, report: ReportProgress) -> object:
        self.begun.set()
        assert self.open.wait(20)
        report("through", 1, 1)
        return self.result


def idle(worker: Worker, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not worker.busy, timeout=WAIT)


def test_end_of_every_job_is_emitted(worker: Worker, signals, qtbot: QtBot):
    error = ValueError("no")

    def fail(report: ReportProgress) -> None:
        raise error

    def count(report: ReportProgress) -> Iterator[int]:
        report("counting", 0, None)
        yield from (1, 2)

    worker.submit("a", lambda report: 5)
    worker.submit("b", fail)
    worker.submit("c", count)
    idle(worker, qtbot)
    assert signals == [
        ("busy_changed", True),
        ("done", "a", 5),
        ("failed", "b", error),
        ("progressed", "counting", 0, None),
        ("yielded", "c", 1),
        ("yielded", "c", 2),
        ("done", "c", None),
        ("busy_changed", False),
    ]


def test_newest_job_replaces_one_waiting_under_the_same_key(worker: Worker, signals, qtbot: QtBot):
    gate = Gate()
    worker.submit("gate", gate)
    assert gate.begun.wait(20)
    for number in range(5):
        worker.submit("same", lambda report, number=number: number)
    worker.submit("other", lambda report: "other")
    gate.open.set()
    idle(worker, qtbot)
    assert [signal[1:] for signal in signals if signal[0] == "done"] == [
        ("gate", None),
        ("same", 4),
        ("other", "other"),
    ]


def test_cancel_stops_running_and_discards_waiting_jobs(worker: Worker, signals, qtbot: QtBot):
    gate = Gate()
    worker.submit("runs", gate)
    worker.submit("waits", lambda report: 1)
    assert gate.begun.wait(20)
    worker.cancel()
    gate.open.set()
    idle(worker, qtbot)
    assert [signal for signal in signals if signal[0] in ("done", "stopped")] == [
        ("stopped", "waits"),
        ("stopped", "runs"),
    ]
    worker.submit("again", lambda report: report("fine", 0, 1))
    idle(worker, qtbot)
    assert ("done", "again", None) in signals


def test_low_priority_job_lets_others_run_between_its_values(worker: Worker, signals, qtbot: QtBot):
    gate = Gate()

    def parts(report):
        gate(report)
        yield 1
        yield 2

    worker.submit("low", parts, low_priority=True)
    assert gate.begun.wait(20)
    worker.submit("later", lambda report: 4, low_priority=True)
    worker.submit("request", lambda report: 3)
    gate.open.set()
    idle(worker, qtbot)
    assert [signal for signal in signals if signal[0] in ("done", "yielded")] == [
        ("yielded", "low", 1),
        ("done", "request", 3),
        ("yielded", "low", 2),
        ("done", "low", None),
        ("done", "later", 4),
    ]


def test_cancelling_one_key_leaves_other_jobs(worker: Worker, signals, qtbot: QtBot):
    first, gate = Gate(), Gate()

    def parts(report):
        yield first(report)
        report("continuing", 0, 1)
        yield 2

    worker.submit("low", parts, low_priority=True)
    worker.submit("request", gate)
    first.open.set()
    worker.submit("waits", lambda report: 5)
    assert gate.begun.wait(20)
    worker.cancel("low")
    gate.open.set()
    idle(worker, qtbot)
    ended = [signal for signal in signals if signal[0] in ("done", "stopped")]
    assert ("stopped", "low") in ended
    assert ("done", "request", None) in ended
    assert ("done", "waits", 5) in ended


def test_closed_worker_emits_nothing_and_ends_its_thread(worker: Worker, signals, qtbot: QtBot):
    gate, threads = Gate(), threading.active_count()
    worker.submit("runs", gate)
    assert gate.begun.wait(20)
    worker.close()
    signals.clear()
    gate.open.set()
    qtbot.waitUntil(lambda: threading.active_count() == threads, timeout=WAIT)
    worker.submit("more", lambda report: 1)
    qtbot.wait(0)
    assert signals == []


def test_job_is_stopped_when_it_reports_progress(worker: Worker, qtbot: QtBot):
    noticed, gate = threading.Event(), Gate()

    def job(report: ReportProgress) -> None:
        try:
            gate(report)
        except Stopped:
            noticed.set()
            raise

    worker.submit("a", job)
    assert gate.begun.wait(20)
    worker.close()
    gate.open.set()
    assert noticed.wait(20)
