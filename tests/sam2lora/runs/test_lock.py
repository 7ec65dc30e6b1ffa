"""One process per run; its death releases the run, and `is_alive` does not disturb it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sam2lora.errors import OutputError
from sam2lora.runs import RunFolder, is_alive
from sam2lora.runs.lock import run_lock
from sam2lora.utils.process_lock import holder_of

Hold = Callable[[Path], "subprocess.Popen[str]"]


def test_second_process_is_refused_and_a_killed_one_is_no_obstacle(
    run: RunFolder, hold_elsewhere: Hold
):
    other = hold_elsewhere(run.path)
    assert is_alive(run.path)
    expected = f"my run: is already being trained by process {other.pid} on {socket.gethostname()}"
    with pytest.raises(OutputError, match=expected), run_lock(run.path):
        pass
    assert is_alive(run.path)
    other.kill()
    other.wait()
    assert not is_alive(run.path)
    with run_lock(run.path):
        holder = holder_of(run.path)
        assert holder is not None
        assert holder.pid == os.getpid()
        assert is_alive(run.path)
    assert not is_alive(run.path)
    assert holder_of(run.path) is None


def test_an_unknown_holder_is_refused_too(run: RunFolder, hold_elsewhere: Hold):
    hold_elsewhere(run.path)
    (run.path / ".holder.json").write_text("{torn")
    with (
        pytest.raises(OutputError, match="already being trained by another process"),
        run_lock(run.path),
    ):
        pass


def test_is_alive_does_not_keep_a_training_from_starting(run: RunFolder):
    with run_lock(run.path):
        pass
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_alive(run.path)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(20):
            with run_lock(run.path):
                pass
    finally:
        done.set()
        for thread in asking:
            thread.join()


def test_is_alive_leaves_no_trace(run: RunFolder):
    before = sorted(run.path.iterdir())
    assert not is_alive(run.path)
    assert sorted(run.path.iterdir()) == before
    assert not is_alive(run.path / "no such run")


def test_an_error_frees_the_run(run: RunFolder):
    with pytest.raises(KeyError), run_lock(run.path):
        raise KeyError("a defect")
    assert not is_alive(run.path)


@pytest.mark.skipif(os.name == "nt", reason="Windows does not delete what is open")
def test_a_run_deleted_while_it_is_held_is_not_alive(run: RunFolder):
    with run_lock(run.path):
        shutil.rmtree(run.path)
        assert not is_alive(run.path)
    with pytest.raises(OutputError, match="my run: no longer exists"), run_lock(run.path):
        pass
    assert not run.path.exists()


FORK = """
import os, sys, time
from pathlib import Path
from sam2lora.runs import RunFolder
with RunFolder.open(Path(sys.argv[1])).hold():
    worker = os.fork()
    if worker:
        print(worker, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork (POSIX)")
def test_a_forked_worker_that_outlives_the_run_does_not_hold_it(run: RunFolder):
    process = subprocess.Popen(
        [sys.executable, "-c", FORK, str(run.path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    try:
        assert is_alive(run.path)
        process.kill()
        process.wait()
        assert not is_alive(run.path)
    finally:
        os.kill(worker, signal.SIGKILL)
        process.stdout.close()
