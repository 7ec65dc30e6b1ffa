"""The process that trains: apart from the viewer, and modest."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from napari_sam2lora.training.run import process as child
from napari_sam2lora.training.run.process import last_output, start_process
from sam2lora.errors import OutputError
from sam2lora.runs import RunFolder, is_alive, summarize


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_it_trains_in_a_session_of_its_own_and_keeps_what_it_prints(
    stand_in: None, make_run: Callable[..., RunFolder]
) -> None:
    run = make_run()
    process = start_process(run.path)
    wait_until(lambda: is_alive(run.path))
    if sys.platform != "win32":
        assert os.getsid(process.pid) == process.pid
    assert process.wait(60) == 0
    assert summarize(run.path).state == "finished"
    assert last_output(run.path) == "loading"


def test_it_leaves_the_viewer_room(make_run: Callable[..., RunFolder], monkeypatch) -> None:
    asked = "import os, time; print(os.environ['OMP_NUM_THREADS'], flush=True); time.sleep(60)"
    monkeypatch.setattr(child, "command", lambda *words: [sys.executable, "-c", asked])
    monkeypatch.setattr(child, "_cores", lambda: 2)
    run = make_run()
    process = start_process(run.path)
    try:
        wait_until(lambda: last_output(run.path) == "1")
        assert psutil.Process(process.pid).nice() != psutil.Process().nice()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="sessions have priorities on Linux alone")
def test_the_session_of_the_viewer_keeps_its_priority() -> None:
    mine = Path("/proc/self/autogroup")
    before = mine.read_text() if mine.exists() else ""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        child.yield_to_viewer(process.pid)
        assert psutil.Process(process.pid).nice() > psutil.Process().nice()
        assert (mine.read_text() if mine.exists() else "") == before
    finally:
        process.kill()
        process.wait()


def test_one_that_cannot_be_started_is_said(make_run: Callable[..., RunFolder], monkeypatch):
    monkeypatch.setattr(child, "command", lambda *words: ["/no/such/python"])
    with pytest.raises(OutputError, match="cannot be started"):
        start_process(make_run().path)


def test_the_last_lines_it_printed_are_read(tmp_path: Path) -> None:
    assert last_output(tmp_path) == ""
    (tmp_path / child.OUTPUT).write_text("one\n\ntwo\nthree\nfour\n")
    assert last_output(tmp_path) == "two three four"


def test_the_command_is_that_of_this_python() -> None:
    words = child.command("run")
    assert words[0] == sys.executable
    assert words[-4:] == ["-m", "sam2lora", "train", "run"]
