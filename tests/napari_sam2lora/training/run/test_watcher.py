"""Following a run: its events and its status until it ends or is deleted."""

import shutil
from collections.abc import Callable

import pytest

from napari_sam2lora.training.run.process import start_process
from napari_sam2lora.training.run.watcher import RunWatcher
from sam2lora.runs import (
    FailedEvent,
    FinishedEvent,
    RunFolder,
    RunStatus,
    StartedEvent,
    StoppedEvent,
    summarize,
)

from ..conftest import step, wait_for_state

Make = Callable[..., RunFolder]

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("stand_in")]


@pytest.fixture
def watcher(qtbot) -> RunWatcher:
    made = RunWatcher()
    yield made
    made.detach()


def test_run_is_followed_to_its_end(qtbot, watcher: RunWatcher, make_run: Make) -> None:
    states: list[str] = []
    run = make_run()
    watcher.status_changed.connect(lambda status: states.append(status.state if status else "none"))
    watcher.attach(run.path, start_process(run.path))
    wait_for_state(qtbot, watcher, "finished")
    assert states == ["starting", "running", "finished"]
    assert watcher.history.step.step == 40
    assert watcher.history.dice()[0] == [10, 20, 30, 40]
    watcher.detach()
    assert states[-1] == "none"


def test_status_follows_pausing_continuing_stopping_and_resuming(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run(steps=300)
    watcher.attach(run.path, start_process(run.path))
    wait_for_state(qtbot, watcher, "running")
    run.control.request("pause")
    wait_for_state(qtbot, watcher, "paused")
    run.control.clear("pause")
    wait_for_state(qtbot, watcher, "running")
    run.control.request("stop")
    wait_for_state(qtbot, watcher, "stopped")
    done = watcher.history.step.step
    watcher.attach(run.path, start_process(run.path))
    assert watcher.status.state == "starting"  # although the last event is that it stopped
    wait_for_state(qtbot, watcher, "running")
    assert watcher.history.step.step > done


def test_killed_run_is_interrupted_with_its_signal(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run(steps=3000)
    process = start_process(run.path)
    watcher.attach(run.path, process)
    qtbot.waitUntil(lambda: len(watcher.history.validations) > 0, timeout=60_000)
    process.kill()
    wait_for_state(qtbot, watcher, "interrupted")
    assert "SIGKILL" in watcher.status.message


def test_run_started_elsewhere_is_alive_by_its_lock(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run(steps=3000)
    process = start_process(run.path)
    qtbot.waitUntil(run.events.exists, timeout=60_000)
    watcher.attach(run.path)
    assert watcher.status.alive
    process.kill()
    process.wait()
    wait_for_state(qtbot, watcher, "interrupted")


def test_deleted_run_folder_is_gone(qtbot, watcher: RunWatcher, make_run: Make) -> None:
    run = make_run(steps=3000)
    watcher.attach(run.path, start_process(run.path))
    wait_for_state(qtbot, watcher, "running")
    shutil.rmtree(run.path, ignore_errors=True)
    shutil.rmtree(run.path, ignore_errors=True)
    wait_for_state(qtbot, watcher, "gone")
    qtbot.waitUntil(lambda: not watcher._timer.isActive(), timeout=60_000)


def test_written_run_is_new(watcher: RunWatcher, make_run: Make) -> None:
    watcher.attach(make_run().path)
    assert watcher.status == RunStatus("new", "It has not started.")


def test_damaged_run_has_the_status_of_the_list(watcher: RunWatcher, make_run: Make) -> None:
    run = make_run()
    run.append(StartedEvent(target="disc", base="nano", steps=9))
    run.settings.write_text("{torn")
    watcher.attach(run.path)
    assert watcher.status.state == "damaged"
    assert watcher.status == summarize(run.path).status


def test_failed_run_has_the_message_of_its_event(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run()
    run.append(StartedEvent(target="disc", base="nano", steps=9))
    run.append(FailedEvent(reason="OutputError", words="The disk is full."))
    watcher.attach(run.path)
    assert (watcher.status.state, watcher.status.message) == ("failed", "The disk is full.")


def test_another_run_is_followed_from_its_first_event(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    first, second = make_run("first"), make_run("second")
    for run, target in ((first, "disc"), (second, "cup")):
        run.append(StartedEvent(target=target, base="nano", steps=9))
        run.append(FinishedEvent(step=9))
    for run, target in ((first, "disc"), (second, "cup")):
        watcher.attach(run.path)
        assert watcher.history.started.target == target
        assert len(watcher.history.events) == 2


def test_process_that_cannot_lock_the_run_does_not_end_its_status(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run(steps=3000)
    other = start_process(run.path)
    qtbot.waitUntil(run.events.exists, timeout=60_000)
    own = start_process(run.path)  # cannot lock the run
    watcher.attach(run.path, own)
    qtbot.waitUntil(lambda: own.poll() not in (None, 0), timeout=60_000)
    qtbot.waitUntil(lambda: watcher._ticks > 0, timeout=10_000)
    assert watcher.status.alive
    other.kill()
    other.wait()
    wait_for_state(qtbot, watcher, "interrupted")


def test_long_run_is_read_in_several_ticks(
    qtbot, watcher: RunWatcher, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2lora.training.run.watcher._READING", 0)
    run = make_run()
    lines = [step(number).model_dump_json() for number in range(1, 2001)]
    run.events.write_text("\n".join([*lines, StoppedEvent(step=2000).model_dump_json(), ""]))
    watcher.attach(run.path)
    assert 0 < watcher.history.step.step < 2000
    assert watcher.status is None  # its last event is not read yet
    wait_for_state(qtbot, watcher, "stopped")
    assert watcher.history.step.step == 2000
