"""Following a run: what happens in it, how it ends, and when it is taken away."""

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

from .test_history import step

Make = Callable[..., RunFolder]

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("stand_in")]


@pytest.fixture
def watcher(qtbot) -> RunWatcher:
    made = RunWatcher()
    yield made
    made.detach()


def until(qtbot, watcher: RunWatcher, state: str) -> None:
    qtbot.waitUntil(
        lambda: watcher.status is not None and watcher.status.state == state, timeout=60_000
    )


def test_a_run_is_followed_to_its_end(qtbot, watcher: RunWatcher, make_run: Make) -> None:
    states: list[str] = []
    run = make_run()
    watcher.status_changed.connect(lambda status: states.append(status.state if status else "none"))
    watcher.attach(run.path, start_process(run.path))
    until(qtbot, watcher, "finished")
    assert states == ["starting", "running", "finished"]
    assert watcher.history.step.step == 40
    assert watcher.history.dice()[0] == [10, 20, 30, 40]
    watcher.detach()
    assert states[-1] == "none"


def test_it_pauses_goes_on_stops_and_is_resumed(qtbot, watcher: RunWatcher, make_run: Make) -> None:
    run = make_run(steps=300)
    watcher.attach(run.path, start_process(run.path))
    until(qtbot, watcher, "running")
    run.control.request("pause")
    until(qtbot, watcher, "paused")
    run.control.clear("pause")
    until(qtbot, watcher, "running")
    run.control.request("stop")
    until(qtbot, watcher, "stopped")
    done = watcher.history.step.step
    watcher.attach(run.path, start_process(run.path))
    assert watcher.status.state == "starting"  # though the last event is that it stopped
    until(qtbot, watcher, "running")
    assert watcher.history.step.step > done


def test_a_killed_one_is_told_with_its_reason(qtbot, watcher: RunWatcher, make_run: Make) -> None:
    run = make_run(steps=3000)
    process = start_process(run.path)
    watcher.attach(run.path, process)
    qtbot.waitUntil(lambda: len(watcher.history.validations) > 0, timeout=60_000)
    process.kill()
    until(qtbot, watcher, "interrupted")
    assert "SIGKILL" in watcher.status.message


def test_one_that_someone_else_started_is_known_by_its_lock(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run(steps=3000)
    process = start_process(run.path)
    qtbot.waitUntil(run.events.exists, timeout=60_000)
    watcher.attach(run.path)
    assert watcher.status.alive
    process.kill()
    process.wait()
    until(qtbot, watcher, "interrupted")


def test_a_deleted_folder_is_noticed(qtbot, watcher: RunWatcher, make_run: Make) -> None:
    run = make_run(steps=3000)
    watcher.attach(run.path, start_process(run.path))
    until(qtbot, watcher, "running")
    shutil.rmtree(run.path, ignore_errors=True)
    shutil.rmtree(run.path, ignore_errors=True)
    until(qtbot, watcher, "gone")
    qtbot.waitUntil(lambda: not watcher._timer.isActive(), timeout=60_000)


def test_one_that_was_only_written_has_not_begun(watcher: RunWatcher, make_run: Make) -> None:
    watcher.attach(make_run().path)
    assert watcher.status == RunStatus("new", "It has not started.")


def test_what_is_damaged_is_said_as_in_the_list(watcher: RunWatcher, make_run: Make) -> None:
    run = make_run()
    run.append(StartedEvent(target="disc", base="nano", steps=9))
    run.settings.write_text("{torn")
    watcher.attach(run.path)
    assert watcher.status.state == "damaged"
    assert watcher.status == summarize(run.path).status


def test_a_failure_is_told_in_the_words_of_the_run(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run()
    run.append(StartedEvent(target="disc", base="nano", steps=9))
    run.append(FailedEvent(reason="OutputError", words="The disk is full."))
    watcher.attach(run.path)
    assert (watcher.status.state, watcher.status.message) == ("failed", "The disk is full.")


def test_another_run_is_followed_from_its_beginning(
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


def test_where_another_process_trains_it_is_followed(
    qtbot, watcher: RunWatcher, make_run: Make
) -> None:
    run = make_run(steps=3000)
    other = start_process(run.path)
    qtbot.waitUntil(run.events.exists, timeout=60_000)
    own = start_process(run.path)  # cannot take the run
    watcher.attach(run.path, own)
    qtbot.waitUntil(lambda: own.poll() not in (None, 0), timeout=60_000)
    qtbot.waitUntil(lambda: watcher._ticks > 0, timeout=10_000)
    assert watcher.status.alive
    other.kill()
    other.wait()
    until(qtbot, watcher, "interrupted")


def test_a_long_run_is_read_little_by_little(
    qtbot, watcher: RunWatcher, make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam2lora.training.run.watcher._SPELL", 0)
    run = make_run()
    lines = [step(number).model_dump_json() for number in range(1, 2001)]
    run.events.write_text("\n".join([*lines, StoppedEvent(step=2000).model_dump_json(), ""]))
    watcher.attach(run.path)
    assert 0 < watcher.history.step.step < 2000
    assert watcher.status is None  # how it ended is not read yet
    until(qtbot, watcher, "stopped")
    assert watcher.history.step.step == 2000
