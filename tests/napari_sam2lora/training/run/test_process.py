"""The training process: start, priority and output."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from napari_sam2lora.training.run import process as process_module
from napari_sam2lora.training.run.process import last_output, start_process
from sam2lora.errors import OutputError
from sam2lora.runs import RunFolder, is_alive, summarize


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_process_has_its_own_session_and_writes_its_output(
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


def test_process_has_lower_priority_and_leaves_a_core(
    make_run: Callable[..., RunFolder], monkeypatch
) -> None:
    code = "import os, time; print(os.environ['OMP_NUM_THREADS'], flush=True); time.sleep(60)"
    monkeypatch.setattr(process_module, "command", lambda *args: [sys.executable, "-c", code])
    monkeypatch.setattr(process_module, "_cores", lambda: 2)
    run = make_run()
    process = start_process(run.path)
    try:
        wait_until(lambda: last_output(run.path) == "1")
        assert psutil.Process(process.pid).nice() != psutil.Process().nice()
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of sessions")
def test_session_of_the_viewer_keeps_its_priority() -> None:
    group = Path("/proc/self/autogroup")
    before = group.read_text() if group.exists() else ""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        process_module.yield_to_viewer(process.pid)
        assert psutil.Process(process.pid).nice() > psutil.Process().nice()
        assert (group.read_text() if group.exists() else "") == before
    finally:
        process.kill()
        process.wait()


def test_process_that_cannot_be_started_is_an_error(
    make_run: Callable[..., RunFolder], monkeypatch
):
    monkeypatch.setattr(process_module, "command", lambda *args: ["/no/such/python"])
    with pytest.raises(OutputError, match="cannot be started"):
        start_process(make_run().path)


def test_last_lines_of_the_output_are_returned(tmp_path: Path) -> None:
    assert last_output(tmp_path) == ""
    (tmp_path / process_module.OUTPUT).write_text("one\n\ntwo\nthree\nfour\n")
    assert last_output(tmp_path) == "two three four"


def test_command_runs_this_python() -> None:
    args = process_module.command("run")
    assert args[0] == sys.executable
    assert args[-4:] == ["-m", "sam2lora", "train", "run"]
