"""Renaming and deleting runs."""

import subprocess
import sys
from pathlib import Path

import pytest

from sam2lora.errors import OutputError, SettingsError
from sam2lora.runs import (
    RunFolder,
    delete_run,
    list_runs,
    new_run,
    new_run_folder,
    rename_run,
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "first", "{}")


def test_run_is_renamed_with_its_content(run: RunFolder, tmp_path: Path) -> None:
    assert rename_run(run.path, "second") == tmp_path / "second"
    assert RunFolder.open(tmp_path / "second").read_settings() == {}
    assert not run.path.exists()


@pytest.mark.parametrize("name", ["", "../x", "a b", "-a"])
def test_run_names_are_valid_adapter_names(run: RunFolder, name: str) -> None:
    with pytest.raises(SettingsError, match="is not a valid name"):
        rename_run(run.path, name)


def test_a_name_that_is_taken_is_refused(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="already exists"):
        new_run_folder(tmp_path, "first")


def test_a_run_is_deleted(run: RunFolder, tmp_path: Path) -> None:
    delete_run(run.path)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_a_run_is_not_deleted(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(SettingsError, match="not a training"):
        delete_run(tmp_path / "photos")
    assert (tmp_path / "photos").exists()


def test_run_in_training_is_not_renamed_or_deleted(run: RunFolder) -> None:
    with run.hold():
        for change in (delete_run, lambda folder: rename_run(folder, "other")):
            with pytest.raises(OutputError, match="is being trained"):
                change(run.path)
    assert run.settings.exists()


def test_new_run_is_visible_once_it_is_complete(tmp_path: Path) -> None:
    with new_run(tmp_path / "new") as place:
        RunFolder.create(place, "{}")
        assert list_runs(tmp_path) == []
    assert [run.name for run in list_runs(tmp_path)] == ["new"]
    with pytest.raises(ZeroDivisionError), new_run(tmp_path / "other"):
        raise ZeroDivisionError
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]


MAKE = """
import sys
from pathlib import Path
from sam2lora.runs import RunFolder, new_run
with new_run(Path(sys.argv[1])) as place:
    RunFolder.create(place, "{}")
    print("made", flush=True)
    sys.stdin.read()
"""


def test_a_killed_process_leaves_no_half_run_and_a_free_name(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", MAKE, str(tmp_path / "new")]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout.readline().strip() == b"made"
        process.kill()
    assert list_runs(tmp_path) == []
    with new_run(new_run_folder(tmp_path, "new")) as place:
        RunFolder.create(place, '{"steps": 1}')
    assert [entry.name for entry in tmp_path.iterdir()] == ["new"]


def test_new_run_does_not_replace_one_created_meanwhile(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="first"), new_run(run.path) as place:
        RunFolder.create(place, '{"steps": 1}')
    assert run.read_settings() == {}
    assert [entry.name for entry in tmp_path.iterdir()] == ["first"]
