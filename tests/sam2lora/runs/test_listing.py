"""The list of trainings shows the status of each, even of damaged ones."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sam2lora.errors import SettingsError
from sam2lora.runs import (
    CheckpointEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    ResumedEvent,
    RunFolder,
    RunStatus,
    StartedEvent,
    StepEvent,
    StoppedEvent,
    WarningEvent,
    list_runs,
    runs_folder,
    set_best,
    summarize,
)

Hold = Callable[[Path], "subprocess.Popen[str]"]


def started() -> StartedEvent:
    return StartedEvent(target="disc", base="nano", steps=40)


@pytest.mark.parametrize(
    ("events", "asleep", "awake"),
    [
        ([], "new", "starting"),
        ([started()], "interrupted", "starting"),
        ([PausedEvent(step=3)], "interrupted", "paused"),
        ([PausedEvent(step=3), CheckpointEvent(step=3)], "interrupted", "paused"),
        ([PausedEvent(step=3), started()], "interrupted", "starting"),
        ([FinishedEvent(step=40)], "finished", "running"),
        ([StoppedEvent(step=3), WarningEvent(step=3, words="x")], "stopped", "running"),
        ([FailedEvent(step=3, reason="ImageError", words="x")], "failed", "running"),
        (
            [FailedEvent(step=3, reason="ImageError", words="x"), ResumedEvent(step=3)],
            "interrupted",
            "starting",
        ),
    ],
    ids=lambda value: "+".join(event.kind for event in value) if isinstance(value, list) else value,
)
def test_state_follows_from_the_last_event_and_the_lock(
    run: RunFolder, events: list[Event], asleep: str, awake: str
):
    for event in events:
        run.append(event)
    assert summarize(run.path).state == asleep
    with run.hold():
        assert summarize(run.path).state == awake


def test_a_run_is_summarized(run: RunFolder, step: Callable[[int], StepEvent]):
    run.append(started())
    run.append(step(9))
    run.append(ResumedEvent(step=5))
    run.append(step(6))
    run.adapter(5).mkdir()
    set_best(run.path, 5, 0.75)
    end = FailedEvent(step=7, reason="ImageError", words="21.tif is gone")
    run.append(end)
    summary = summarize(run.path)
    assert summary.name == "my run"
    assert (summary.target, summary.step, summary.steps) == ("disc", 7, 40)
    assert (summary.best, summary.date) == (0.75, end.time)
    assert summary.status == RunStatus("failed", "21.tif is gone")
    with run.hold():
        assert summarize(run.path).status == RunStatus("running")


def test_death_of_another_process_is_seen(run: RunFolder, hold_elsewhere: Hold):
    run.append(started())
    process = hold_elsewhere(run.path)
    assert summarize(run.path).state == "starting"
    process.kill()
    process.wait()
    assert summarize(run.path).state == "interrupted"


def test_runs_are_listed_latest_first_without_other_folders(tmp_path: Path):
    for number, name in enumerate(["b", "a", "c"]):
        run = RunFolder.create(tmp_path / name, "{}")
        run.append(PausedEvent(time=datetime(2026, 1, 1 + number, tzinfo=UTC)))
    (tmp_path / "photos").mkdir()
    (tmp_path / "notes.txt").touch()
    runs = list_runs(tmp_path)
    assert [summary.name for summary in runs] == ["c", "a", "b"]
    assert runs[0].target is None
    assert list_runs(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("settings.json", None, "no settings.json"),
        ("settings.json", b"{torn", "settings.json: is truncated or not JSON"),
        ("settings.json", b"\xff\xfe\x00", "settings.json: is damaged or not a text file"),
        ("events.jsonl", b"\0\0\0\n", "none of its lines"),
        ("adapters/best.json", b"\0\0\0", "best.json"),
    ],
)
def test_damaged_runs_are_listed_with_the_others(
    run: RunFolder, file: str, content: bytes | None, message: str
):
    RunFolder.create(run.path.parent / "sound", "{}")
    run.append(started())
    if content is None:
        (run.path / file).unlink()
    else:
        (run.path / file).write_bytes(content)
    states = {
        found.name: (found.state, found.status.message) for found in list_runs(run.path.parent)
    }
    assert states["sound"][0] == "new"
    assert states["my run"][0] == "damaged"
    assert message in states["my run"][1]


@pytest.mark.parametrize("settings", ['{"target": 3, "steps": "x"}', '{"target": {"name": 1}}'])
def test_unexpected_settings_do_not_hide_a_run(tmp_path: Path, settings: str):
    summary = summarize(RunFolder.create(tmp_path / "odd", settings).path)
    assert (summary.state, summary.target, summary.steps) == ("new", None, None)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything"
)
def test_unreadable_folder_does_not_hide_the_others(run: RunFolder):
    private = run.path.parent / "private"
    private.mkdir(mode=0)
    try:
        states = {found.name: found.state for found in list_runs(run.path.parent)}
    finally:
        private.chmod(0o700)
    assert states["my run"] == "new"
    assert states.get("private", "damaged") == "damaged"


def test_missing_run_is_summarized_as_gone(tmp_path: Path):
    summary = summarize(tmp_path / "none")
    assert summary.status == RunStatus("gone", "The run folder no longer exists.")


def test_a_root_that_cannot_be_read_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="file: cannot be read"):
        list_runs(tmp_path / "file")


def test_folder_of_runs_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("SAM2LORA_RUNS", str(tmp_path / "mine"))
    assert runs_folder() == tmp_path / "mine"
    monkeypatch.delenv("SAM2LORA_RUNS")
    assert runs_folder().parts[-2:] == ("napari-sam2lora", "runs")
    assert runs_folder().is_absolute()
