"""Trainings of one viewer, by a stand-in for the process that trains."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from napari_sam2lora.training.data.folder_pairs import pairs_in_folder
from napari_sam2lora.training.data.new_run import TrainingPlan
from napari_sam2lora.training.run import session as session_module
from napari_sam2lora.training.run.session import TrainingSession, settings_of
from sam2lora.adapters import install_adapter, install_best
from sam2lora.errors import SettingsError
from sam2lora.runs import (
    FailedEvent,
    FinishedEvent,
    RunFolder,
    RunStatus,
    is_alive,
    runs_folder,
    set_best,
)
from sam2lora.targets import TARGETS

pytestmark = [pytest.mark.viewer, pytest.mark.usefixtures("stand_in")]


@pytest.fixture
def draft(folder: Path) -> Callable[..., TrainingPlan]:
    def make(steps: int = 40, **options: object) -> TrainingPlan:
        pairs = pairs_in_folder(folder, "disc")
        changes = {"steps": steps}
        return TrainingPlan("disc", preset="standard", changes=changes, pairs=pairs, **options)

    return make


def until(qtbot, session: TrainingSession, state: str) -> None:
    def stands() -> bool:
        status = session.watcher.status
        return status is not None and status.state == state

    qtbot.waitUntil(stands, timeout=60_000)


def test_what_is_ticked_is_copied_and_trained(qtbot, session, draft) -> None:
    with qtbot.waitSignal(session.starting) as begins:
        session.start(draft())
    assert session.busy
    assert begins.args == ["auto"]
    until(qtbot, session, "finished")
    run = runs_folder() / "disc-standard-1"
    assert session.run == run
    assert sorted(path.name for path in (run / "data/images").iterdir()) == [
        *("anna_left.png", "anna_right.png", "ben_left.png")
    ]
    assert settings_of(run).data[0].root == "data/dataset.csv"


def test_two_trainings_one_after_the_other(qtbot, session, draft) -> None:
    for number in (1, 2):
        session.start(draft())
        until(qtbot, session, "finished")
        assert session.run.name == f"disc-standard-{number}"
        assert session.watcher.history.step.step == 40


def test_one_at_a_time(qtbot, session, draft) -> None:
    session.start(draft(3000))
    session.start(draft())  # while images are copied: a second press does nothing
    until(qtbot, session, "running")
    with pytest.raises(SettingsError, match="is running here"):
        session.start(draft())
    with pytest.raises(SettingsError, match="is running here"):
        session.resume(Path("another"))


def test_pause_stop_and_resume(qtbot, session, draft) -> None:
    session.start(draft(300))
    until(qtbot, session, "running")
    session.pause()
    until(qtbot, session, "paused")
    session.resume_paused()
    until(qtbot, session, "running")
    session.stop()
    until(qtbot, session, "stopped")
    session.resume(session.run)
    until(qtbot, session, "running")


def test_a_new_session_finds_what_is_alive_or_could_go_on(qtbot, session, draft) -> None:
    session.start(draft(3000))
    until(qtbot, session, "running")
    other = TrainingSession()
    assert other.attach_to_unfinished().folder == session.run
    assert other.alive
    session.stop()
    until(qtbot, session, "stopped")
    until(qtbot, other, "stopped")
    third = TrainingSession()
    assert third.attach_to_unfinished().state == "stopped"
    assert (third.run, third.alive) == (other.run, False)
    other.close()


def test_a_run_that_ended_unseen_is_found(session, make_run, make_adapter) -> None:
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
    set_best(run.path, 2, 0.6)  # it became better when nobody looked
    assert session.attach_to_unfinished().folder == run.path
    install_best(run.path)
    assert session.attach_to_unfinished() is None


def test_a_base_model_that_ended_is_not_to_be_installed(session, make_run) -> None:
    run = RunFolder.create(runs_folder() / "base", make_run().settings.read_text())
    run.append(FinishedEvent(step=1))
    run.adapter(1).mkdir()
    (run.adapter(1) / "nano.safetensors").touch()
    set_best(run.path, 1, 0.5)
    assert session.attach_to_unfinished() is None


def test_a_run_that_failed_is_found_and_can_go_on(qtbot, session, make_run) -> None:
    run = RunFolder.create(runs_folder() / "full", make_run().settings.read_text())
    run.append(FailedEvent(step=1, reason="OSError", words="No space left on device"))
    assert session.attach_to_unfinished().folder == run.path
    assert session.watcher.status == RunStatus("failed", "No space left on device")
    session.resume(run.path)
    until(qtbot, session, "finished")


def test_the_best_adapter_is_installed_once(qtbot, session, draft, monkeypatch) -> None:
    installed: list[str] = []

    class Installed:
        name = "its own"

    def pretend(run: Path) -> Installed:
        time.sleep(0.3)  # while steps and further validations come
        installed.append(run.name)
        return Installed()

    monkeypatch.setattr(session_module, "install_best", pretend)
    with qtbot.waitSignal(session.installed, timeout=60_000) as signal:
        session.start(draft(10))
    assert signal.args == ["its own"]
    until(qtbot, session, "finished")
    assert installed == ["disc-standard-1"]
    session.attach(session.run)  # looked at again, it installs nothing
    assert len(installed) == 1


def test_one_is_installed_after_the_other(qtbot, session, draft, monkeypatch) -> None:
    running, most, done = 0, 0, 0

    def pretend(run: Path) -> None:
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        time.sleep(0.5)
        running, done = running - 1, done + 1

    monkeypatch.setattr(session_module, "install_best", pretend)
    session.start(draft(60))
    until(qtbot, session, "finished")
    qtbot.waitUntil(lambda: session._installed == 60, timeout=20_000)
    assert most == 1
    assert done < 7


def test_stopped_before_it_holds_the_run_it_is_called_off(qtbot, session, make_run) -> None:
    run = make_run()
    session.resume(run.path)
    qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
    if not is_alive(run.path):
        with pytest.raises(SettingsError, match="still starting"):
            session.pause()
    session.stop()
    until(qtbot, session, "stopped")
    assert session.watcher.history.step is None


def test_what_is_being_copied_can_be_called_off(qtbot, session, draft, monkeypatch) -> None:
    copy, ask = shutil.copyfile, session.stop

    def slow(*paths: Path) -> None:
        time.sleep(0.2)
        copy(*paths)

    monkeypatch.setattr("sam2lora.annotations.training_data.shutil.copyfile", slow)
    session.start(draft())
    ask()
    qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
    assert session.run is None
    assert list(runs_folder().iterdir()) == []


def test_a_killed_one_tells_why_and_goes_on(qtbot, session, draft) -> None:
    session.start(draft(300))
    qtbot.waitUntil(lambda: len(session.watcher.history.validations) > 1, timeout=60_000)
    session.watcher._process.kill()
    until(qtbot, session, "interrupted")
    assert "SIGKILL" in session.watcher.status.message
    session.resume(session.run)
    until(qtbot, session, "running")


def test_nothing_can_be_asked_of_a_folder_that_is_gone(qtbot, session, draft) -> None:
    session.start(draft(3000))
    until(qtbot, session, "running")
    for _ in range(3):
        shutil.rmtree(session.run, ignore_errors=True)
    until(qtbot, session, "gone")
    assert not session.alive


def test_a_full_disk_is_said_and_leaves_nothing(qtbot, session, draft, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sam2lora.annotations.training_data.shutil.copyfile", full)
    with qtbot.waitSignal(session.message, timeout=60_000) as said:
        session.start(draft())
    assert "No space left" in said.args[0]
    assert not session.busy
    assert list(runs_folder().iterdir()) == []


def test_an_error_of_the_program_leaves_it_ready(qtbot, session, draft, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("disc")

    monkeypatch.setattr(session_module, "start_process", broken)
    monkeypatch.setattr(session_module, "install_best", broken)
    with qtbot.capture_exceptions() as raised:
        session.start(draft())
        qtbot.waitUntil(lambda: not session.busy, timeout=60_000)
        session.attach(runs_folder() / "disc-standard-1")
        for count in (2, 3):
            session.install()
            qtbot.waitUntil(lambda count=count: len(raised) == count, timeout=60_000)
            qtbot.waitUntil(lambda: not session._installing, timeout=60_000)
    assert {type(error) for _, error, _ in raised} == {KeyError}


def test_what_cannot_be_trained_is_refused_before_anything_is_written(
    session, draft, make_adapter
) -> None:
    with pytest.raises(SettingsError, match="Tick at least one"):
        session.start(TrainingPlan("disc"))
    with pytest.raises(SettingsError, match="Choose the preset Standard"):
        session.start(TrainingPlan("disc", preset="quick", pairs=draft().pairs))
    with pytest.raises(SettingsError, match="cannot be the name"):
        session.start(draft(name="a/b"))
    RunFolder.create(runs_folder() / "taken", "{}")
    with pytest.raises(SettingsError, match="is there already"):
        session.start(draft(name="taken"))
    install_adapter(make_adapter("precious", TARGETS["disc"]))
    with pytest.raises(SettingsError, match="'precious' is there already"):
        session.start(draft(name="precious"))
    assert [one.name for one in runs_folder().iterdir()] == ["taken"]
