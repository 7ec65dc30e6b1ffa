"""Trainings of one viewer, with a stand-in for the training process."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.run import session as session_module
from napari_sam2lora.training.run.session import TrainingSession, settings_of
from sam2lora.adapters import install_best
from sam2lora.errors import SettingsError
from sam2lora.runs import (
    FailedEvent,
    FinishedEvent,
    RunFolder,
    RunStatus,
    is_alive,
    list_runs,
    runs_folder,
    set_best,
)
from sam2lora.targets import TARGETS

from ..conftest import wait_for_state

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("stand_in")]


@pytest.fixture
def plan(folder: Path) -> Callable[..., TrainingPlan]:
    def make(steps: int = 40, **options: object) -> TrainingPlan:
        pairs = pairs_in_folder(folder, "disc")
        changes = {"steps": steps}
        return TrainingPlan("disc", preset="standard", changes=changes, pairs=pairs, **options)

    return make


@pytest.fixture
def slow_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow down the copying of image files."""
    copy = shutil.copyfile

    def slow(*paths: Path) -> None:
        time.sleep(0.2)
        copy(*paths)

    monkeypatch.setattr("sam2lora.annotations.training_data.shutil.copyfile", slow)


def test_start_copies_the_selected_pairs_and_trains(qtbot, session, plan) -> None:
    with qtbot.waitSignal(session.starting) as starting:
        session.start(plan())
    assert session.busy
    assert starting.args == ["auto"]
    wait_for_state(qtbot, session.watcher, "finished")
    run = runs_folder() / "disc-standard-1"
    assert session.run == run
    assert sorted(path.name for path in (run / "data/images").iterdir()) == [
        *("anna_left.png", "anna_right.png", "ben_left.png")
    ]
    assert settings_of(run).data[0].root == "data/dataset.csv"


def test_two_trainings_run_one_after_the_other(qtbot, session, plan) -> None:
    for number in (1, 2):
        session.start(plan())
        wait_for_state(qtbot, session.watcher, "finished")
        assert session.run.name == f"disc-standard-{number}"
        assert session.watcher.history.step.step == 40


def test_two_sessions_train_separately(qtbot, session, plan) -> None:
    other = TrainingSession()
    both = (session, other)
    for each in both:
        each.start(plan(20))
        qtbot.waitUntil(lambda each=each: each.run is not None, timeout=60_000)
    for each in both:
        wait_for_state(qtbot, each.watcher, "finished")
    assert [each.run.name for each in both] == ["disc-standard-1", "disc-standard-2"]
    other.close()


def test_second_training_is_an_error_while_one_runs(qtbot, session, plan) -> None:
    session.start(plan(3000))
    session.start(plan())  # while images are copied: a second press does nothing
    wait_for_state(qtbot, session.watcher, "running")
    with pytest.raises(SettingsError, match="in progress here"):
        session.start(plan())
    with pytest.raises(SettingsError, match="in progress here"):
        session.resume(Path("another"))


def test_pause_stop_and_resume(qtbot, session, plan) -> None:
    session.start(plan(300))
    wait_for_state(qtbot, session.watcher, "running")
    session.pause()
    wait_for_state(qtbot, session.watcher, "paused")
    session.resume_paused()
    wait_for_state(qtbot, session.watcher, "running")
    session.stop()
    wait_for_state(qtbot, session.watcher, "stopped")
    session.resume(session.run)
    wait_for_state(qtbot, session.watcher, "running")


def test_new_session_finds_the_running_or_stopped_run(qtbot, session, plan) -> None:
    session.start(plan(3000))
    wait_for_state(qtbot, session.watcher, "running")
    other = TrainingSession()
    assert other.attach_to_unfinished().folder == session.run
    assert other.alive
    session.stop()
    wait_for_state(qtbot, session.watcher, "stopped")
    wait_for_state(qtbot, other.watcher, "stopped")
    third = TrainingSession()
    assert third.attach_to_unfinished().state == "stopped"
    assert (third.run, third.alive) == (other.run, False)
    other.close()


def test_run_with_a_better_adapter_than_the_installed_one_is_found(
    session, make_run, make_adapter
) -> None:
    run = RunFolder.create(runs_folder() / "unseen", make_run().settings.read_text())
    run.append(FinishedEvent(step=2))
    assert session.attach_to_unfinished() is None  # it has no adapter
    for step in (1, 2):
        made = make_adapter(f"step-{step}", TARGETS["disc"], training={"step": step})
        shutil.copytree(made.folder, run.adapter(step))
    set_best(run.path, 1, 0.5)
    assert session.attach_to_unfinished().folder == run.path
    install_best(run.path)
    assert session.attach_to_unfinished() is None
    set_best(run.path, 2, 0.6)  # there is a better one now
    assert session.attach_to_unfinished().folder == run.path
    install_best(run.path)
    assert session.attach_to_unfinished() is None


def test_finished_base_model_is_not_found_for_installing(session, make_run) -> None:
    run = RunFolder.create(runs_folder() / "base", make_run().settings.read_text())
    run.append(FinishedEvent(step=1))
    run.adapter(1).mkdir()
    (run.adapter(1) / "nano.safetensors").touch()
    set_best(run.path, 1, 0.5)
    assert session.attach_to_unfinished() is None


def test_failed_run_is_found_and_can_be_resumed(qtbot, session, make_run) -> None:
    run = RunFolder.create(runs_folder() / "full", make_run().settings.read_text())
    run.append(FailedEvent(step=1, reason="OSError", words="No space left on device"))
    assert session.attach_to_unfinished().folder == run.path
    assert session.watcher.status == RunStatus("failed", "No space left on device")
    session.resume(run.path)
    wait_for_state(qtbot, session.watcher, "finished")


def test_best_adapter_is_installed_once(qtbot, session, plan, monkeypatch) -> None:
    installed: list[str] = []

    class Installed:
        name = "its own"

    def pretend(run: Path) -> Installed:
        time.sleep(0.3)  # while steps and further validations come
        installed.append(run.name)
        return Installed()

    monkeypatch.setattr(session_module, "install_best", pretend)
    with qtbot.waitSignal(session.installed, timeout=60_000) as signal:
        session.start(plan(10))
    assert signal.args == ["its own"]
    wait_for_state(qtbot, session.watcher, "finished")
    assert installed == ["disc-standard-1"]
    session.attach(session.run)  # when it is shown again, nothing is installed
    assert len(installed) == 1


def test_adapters_are_installed_one_at_a_time(qtbot, session, plan, monkeypatch) -> None:
    running, most, done = 0, 0, 0

    def pretend(run: Path) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        time.sleep(0.5)
        running, done = running - 1, done + 1

    monkeypatch.setattr(session_module, "install_best", pretend)
    session.start(plan(60))
    wait_for_state(qtbot, session.watcher, "finished")
    qtbot.waitUntil(lambda: session._installed == 60, timeout=20_000)
    assert most == 1
    assert done < 7


def test_stop_before_the_process_holds_the_run_cancels_it(qtbot, session, make_run) -> None:
    run = make_run()
    session.resume(run.path)
    qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
    if not is_alive(run.path):
        with pytest.raises(SettingsError, match="still starting"):
            session.pause()
    session.stop()
    wait_for_state(qtbot, session.watcher, "stopped")
    assert session.watcher.history.step is None


def test_stop_while_copying_cancels_the_start(qtbot, session, plan, slow_copy) -> None:
    session.start(plan())
    session.stop()
    qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
    assert session.run is None
    assert list(runs_folder().iterdir()) == []


def test_killed_run_says_why_and_can_be_resumed(qtbot, session, plan) -> None:
    session.start(plan(300))
    qtbot.waitUntil(lambda: len(session.watcher.history.validations) > 1, timeout=60_000)
    session.watcher._process.kill()
    wait_for_state(qtbot, session.watcher, "interrupted")
    assert "SIGKILL" in session.watcher.status.message
    session.resume(session.run)
    wait_for_state(qtbot, session.watcher, "running")


def test_deleted_run_is_not_alive(qtbot, session, plan) -> None:
    session.start(plan(3000))
    wait_for_state(qtbot, session.watcher, "running")
    for _ in range(3):
        shutil.rmtree(session.run, ignore_errors=True)
    wait_for_state(qtbot, session.watcher, "gone")
    assert not session.alive


@pytest.mark.parametrize("ask", ["start", "prepare"])
def test_full_disk_is_reported_and_leaves_no_run(
    qtbot, session, plan, monkeypatch, ask: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sam2lora.annotations.training_data.shutil.copyfile", full)
    with qtbot.waitSignal(session.message, timeout=60_000) as message:
        getattr(session, ask)(plan())
    assert "No space left" in message.args[0]
    qtbot.waitUntil(lambda: not session.busy)
    assert list(runs_folder().iterdir()) == []


def test_unexpected_error_leaves_the_session_ready(qtbot, session, plan, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("disc")

    monkeypatch.setattr(session_module, "start_process", broken)
    monkeypatch.setattr(session_module, "install_best", broken)
    with qtbot.capture_exceptions() as raised:
        session.start(plan())
        qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
        session.attach(runs_folder() / "disc-standard-1")
        for count in (2, 3):
            session.install()
            qtbot.waitUntil(lambda count=count: len(raised) == count, timeout=60_000)
            qtbot.waitUntil(lambda: not session._installing, timeout=60_000)
    assert {type(error) for _, error, _ in raised} == {KeyError}


def test_invalid_plan_is_an_error_before_anything_is_written(session) -> None:
    for ask in (session.start, session.prepare):
        with pytest.raises(SettingsError, match="Select at least one"):
            ask(TrainingPlan("disc"))
    assert not session.busy
    assert not runs_folder().exists() or list(runs_folder().iterdir()) == []


def test_prepare_writes_a_run_that_can_be_started(qtbot, session, plan) -> None:
    chosen = plan()
    with qtbot.waitSignal(session.prepared, timeout=60_000) as prepared:
        session.prepare(chosen)
        assert (session.busy, session.is_starting) == (True, False)
        session.prepare(chosen)  # a second press does nothing
    assert prepared.args == [chosen, runs_folder() / "disc-standard-1"]
    qtbot.waitUntil(lambda: not session.busy)
    (run,) = list_runs(runs_folder())
    assert (run.state, session.run) == ("new", None)
    session.resume(run.folder)
    wait_for_state(qtbot, session.watcher, "finished")


def test_prepare_does_not_touch_the_running_training(qtbot, session, plan) -> None:
    session.start(plan(3000))
    wait_for_state(qtbot, session.watcher, "running")
    with qtbot.waitSignal(session.prepared, timeout=60_000) as prepared:
        session.prepare(plan())
        session.stop()  # stops the training, and not the preparation
    assert prepared.args[1].name == "disc-standard-2"
    wait_for_state(qtbot, session.watcher, "stopped")


def test_closing_while_preparing_leaves_no_run(qtbot, session, plan, slow_copy) -> None:
    with qtbot.assertNotEmitted(session.prepared):
        session.prepare(plan())
        session.close()
        qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
    assert list(runs_folder().iterdir()) == []
