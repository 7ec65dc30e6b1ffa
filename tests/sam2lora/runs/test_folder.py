"""Run folders are created, found again, and never confused with other folders."""

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sam2lora.errors import OutputError, SettingsError
from sam2lora.runs import (
    CheckpointEvent,
    FailedEvent,
    RunFolder,
    StepEvent,
    WarningEvent,
    is_alive,
    read_events,
)
from sam2lora.utils.leftovers import temporary_name

SETTINGS = '{"target": "disc", "steps": 40}'
Hold = Callable[[Path], "subprocess.Popen[str]"]


def test_created_run_is_opened_again(tmp_path: Path):
    run = RunFolder.create(tmp_path / "a" / "b", SETTINGS)
    assert RunFolder.open(tmp_path / "a" / "b") == run
    assert run.read_settings() == {"target": "disc", "steps": 40}
    assert {path.name for path in run.path.iterdir()} == {
        *("settings.json", "data", "control", "adapters", "previews")
    }
    assert run.settings.read_text() == SETTINGS + "\n"
    assert run.adapter(20) == run.path / "adapters" / "20"


def test_folder_with_other_files_is_refused(tmp_path: Path):
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(OutputError, match="is not empty and not a training"):
        RunFolder.create(tmp_path, SETTINGS)
    with pytest.raises(OutputError, match="is not empty and not a training"):
        RunFolder.create(tmp_path / "photo.jpg", SETTINGS)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_hidden_files_do_not_make_a_folder_occupied(tmp_path: Path):
    (tmp_path / ".DS_Store").touch()
    (tmp_path / ".settings-half.json").touch()
    RunFolder.create(tmp_path, SETTINGS)


def test_same_settings_open_the_same_run(run: RunFolder):
    run.append(WarningEvent(words="it has begun"))
    run.checkpoint.touch()
    again = RunFolder.create(run.path, '{"steps": 40,\n "target": "disc"}')
    assert again == run
    assert again.settings.read_text() == SETTINGS + "\n"
    assert again.checkpoint.exists()


def test_a_run_that_has_begun_keeps_its_settings(run: RunFolder):
    run.append(CheckpointEvent(step=1))
    with pytest.raises(SettingsError, match="a training with other settings started here"):
        RunFolder.create(run.path, '{"target": "cup"}')
    assert run.read_settings()["target"] == "disc"


def test_a_run_that_failed_before_its_first_step_takes_better_settings(run: RunFolder):
    run.append(FailedEvent(reason="DatasetError", words="there is no such folder"))
    RunFolder.create(run.path, '{"target": "cup"}')
    assert run.read_settings() == {"target": "cup"}


def test_processes_that_create_a_run_at_once_agree(tmp_path: Path):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: RunFolder.create(tmp_path / "run", SETTINGS), range(40)))
    assert {run.path for run in made} == {tmp_path / "run"}
    assert made[0].read_settings()["target"] == "disc"


def test_a_run_that_is_just_beginning_keeps_its_settings(run: RunFolder):
    with run.hold(), pytest.raises(SettingsError, match="other settings"):
        RunFolder.create(run.path, '{"target": "cup"}')


def test_a_run_that_never_began_takes_better_settings(run: RunFolder):
    RunFolder.create(run.path, '{"target": "cup"}')
    assert run.read_settings() == {"target": "cup"}


@pytest.mark.parametrize("settings", ["", "{", "[]", "NaN,", '"text"', "[" * 100_000])
def test_settings_have_to_be_a_json_object(tmp_path: Path, settings: str):
    with pytest.raises(SettingsError, match=r"of the training: is (truncated|not|nested)"):
        RunFolder.create(tmp_path / "new", settings)
    assert not (tmp_path / "new").exists()
    (tmp_path / "settings.json").write_text(settings)
    with pytest.raises(SettingsError, match=r"settings\.json: is (truncated|not|nested)"):
        RunFolder.open(tmp_path)


def test_folder_that_is_not_a_run_is_not_opened(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"new: does not exist\. Start one with: sam2lora"):
        RunFolder.open(tmp_path / "new")
    with pytest.raises(SettingsError, match=r"has no settings\.json, so it is not a training"):
        RunFolder.open(tmp_path)


def test_settings_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / "settings.json").mkdir()
    with pytest.raises(SettingsError, match=r"settings\.json: cannot be read"):
        RunFolder(tmp_path).read_settings()


def test_holding_a_run_deletes_leftovers_of_a_killed_process(run: RunFolder, hold_elsewhere: Hold):
    process = hold_elsewhere(run.path)
    run.control.request("stop")
    name = temporary_name().replace(f"-{os.getpid()}-", f"-{process.pid}-")
    half = [run.path / f".{name}.pt", run.adapters / f".{name}.json"]
    kept = [run.checkpoint, run.adapters / "best.json", run.path / ".checkpoint.pt.bak"]
    for file in half + kept:
        file.touch()
    with (
        pytest.raises(OutputError, match=f"already being trained by process {process.pid}"),
        run.hold(),
    ):
        pass
    assert run.control.requested == {"stop"}
    process.kill()
    process.wait()
    with run.hold():
        assert is_alive(run.path)
        assert not run.control.requested
        assert not any(file.exists() for file in half)
        assert all(file.exists() for file in kept)
        run.control.request("stop")
        assert run.control.requested == {"stop"}
    assert not is_alive(run.path)


def test_run_killed_while_being_created_can_be_resumed(tmp_path: Path):
    run = RunFolder(tmp_path)
    run.settings.write_text(SETTINGS)
    with RunFolder.open(tmp_path).hold():
        for folder in (run.data, run.control.folder, run.adapters, run.previews):
            assert folder.is_dir()


def test_the_loop_writes_events_and_checkpoints(run: RunFolder, step: Callable[[int], StepEvent]):
    with run.hold():
        run.append(step(1))
        run.save_checkpoint({"step": 1})
    assert [event.step for event in read_events(run.events)[0]] == [1]
    assert run.load_checkpoint() == {"step": 1}


def test_runs_are_read_and_watched_without_torch(run: RunFolder):
    code = """
import sys
from pathlib import Path
from sam2lora.runs import RunFolder, WarningEvent, follow_events, list_runs
run = RunFolder.open(Path(sys.argv[1]))
with run.hold():
    run.append(WarningEvent(words="x"))
    assert follow_events(run.events).events
    assert list_runs(run.path.parent)[0].state == "starting"
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
