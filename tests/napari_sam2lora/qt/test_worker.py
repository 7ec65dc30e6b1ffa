"""The thread beside the window's."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from napari_sam2lora.qt.worker import ReportProgress, Stopped, Worker

WAIT = 20_000  # milliseconds


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def heard(worker: Worker) -> list[tuple[Any, ...]]:
    """Collect what is told, and prove that it is told in the window's thread."""
    told: list[tuple[Any, ...]] = []

    def hear(name: str) -> Callable[..., None]:
        def add(*values: Any) -> None:
            assert threading.current_thread() is threading.main_thread()
            told.append((name, *values))

        return add

    for name in ("done", "failed", "stopped", "yielded", "progressed", "busy_changed"):
        getattr(worker, name).connect(hear(name))
    return told


class Gate:
    """Work that waits to be let through."""

    def __init__(self, result: object = None) -> None:
        self.begun, self.open, self.result = threading.Event(), threading.Event(), result

    def __call__(self, report: ReportProgress) -> object:
        self.begun.set()
        assert self.open.wait(20)
        report("through", 1, 1)
        return self.result


def idle(worker: Worker, qtbot: QtBot) -> None:
    qtbot.waitUntil(lambda: not worker.busy, timeout=WAIT)


def test_it_tells_how_work_ends(worker: Worker, heard, qtbot: QtBot):
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
    assert heard == [
        ("busy_changed", True),
        ("done", "a", 5),
        ("failed", "b", error),
        ("progressed", "counting", 0, None),
        ("yielded", "c", 1),
        ("yielded", "c", 2),
        ("done", "c", None),
        ("busy_changed", False),
    ]


def test_of_what_waits_under_one_key_the_newest_counts(worker: Worker, heard, qtbot: QtBot):
    gate = Gate()
    worker.submit("gate", gate)
    assert gate.begun.wait(20)
    for number in range(5):
        worker.submit("same", lambda report, number=number: number)
    worker.submit("other", lambda report: "other")
    gate.open.set()
    idle(worker, qtbot)
    assert [one[1:] for one in heard if one[0] == "done"] == [
        ("gate", None),
        ("same", 4),
        ("other", "other"),
    ]


def test_cancel_stops_what_runs_and_forgets_what_waits(worker: Worker, heard, qtbot: QtBot):
    gate = Gate()
    worker.submit("runs", gate)
    worker.submit("waits", lambda report: 1)
    assert gate.begun.wait(20)
    worker.cancel()
    gate.open.set()
    idle(worker, qtbot)
    assert [one for one in heard if one[0] in ("done", "stopped")] == [
        ("stopped", "waits"),
        ("stopped", "runs"),
    ]
    worker.submit("again", lambda report: report("fine", 0, 1))
    idle(worker, qtbot)
    assert ("done", "again", None) in heard


def test_patient_work_lets_the_rest_go_first_between_its_parts(worker: Worker, heard, qtbot: QtBot):
    gate = Gate()

    def parts(report):
        gate(report)
        yield 1
        yield 2

    worker.submit("patient", parts, low_priority=True)
    assert gate.begun.wait(20)
    worker.submit("later", lambda report: 4, low_priority=True)
    worker.submit("question", lambda report: 3)
    gate.open.set()
    idle(worker, qtbot)
    assert [one for one in heard if one[0] in ("done", "yielded")] == [
        ("yielded", "patient", 1),
        ("done", "question", 3),
        ("yielded", "patient", 2),
        ("done", "patient", None),
        ("done", "later", 4),
    ]


def test_one_key_is_cancelled_and_the_rest_goes_on(worker: Worker, heard, qtbot: QtBot):
    first, gate = Gate(), Gate()

    def parts(report):
        yield first(report)
        report("goes on", 0, 1)
        yield 2

    worker.submit("patient", parts, low_priority=True)
    worker.submit("question", gate)
    first.open.set()
    worker.submit("waits", lambda report: 5)
    assert gate.begun.wait(20)
    worker.cancel("patient")
    gate.open.set()
    idle(worker, qtbot)
    ended = [one for one in heard if one[0] in ("done", "stopped")]
    assert ("stopped", "patient") in ended
    assert ("done", "question", None) in ended
    assert ("done", "waits", 5) in ended


def test_after_closing_nothing_is_told_and_the_thread_ends(worker: Worker, heard, qtbot: QtBot):
    gate, threads = Gate(), threading.active_count()
    worker.submit("runs", gate)
    assert gate.begun.wait(20)
    worker.close()
    heard.clear()
    gate.open.set()
    qtbot.waitUntil(lambda: threading.active_count() == threads, timeout=WAIT)
    worker.submit("more", lambda report: 1)
    qtbot.wait(0)
    assert heard == []


def test_work_notices_that_it_is_to_stop(worker: Worker, qtbot: QtBot):
    noticed, gate = threading.Event(), Gate()

    def work(report: ReportProgress) -> None:
        try:
            gate(report)
        except Stopped:
            noticed.set()
            raise

    worker.submit("a", work)
    assert gate.begun.wait(20)
    worker.close()
    gate.open.set()
    assert noticed.wait(20)
