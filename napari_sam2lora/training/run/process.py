"""Start the training process, which outlives the viewer, and read its output."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from sam2lora.errors import OutputError

OUTPUT = "output.log"
"""The file in the run folder with the output of the process."""

_NICENESS = 10
_TAIL = 4096  # bytes of the output that are read
_LINES = 3


def start_process(run: Path) -> "subprocess.Popen[bytes]":
    """Start `python -m sam2lora train RUN`, which continues after the viewer is closed.

    It has a lower priority and one thread fewer than there are cores, so that the viewer stays
    responsive.

    Raises
    ------
    OutputError
        If its output cannot be written, or no process can be started.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NO_WINDOW | subprocess.DETACHED_PROCESS
    try:
        with (run / OUTPUT).open("ab") as output:
            process = subprocess.Popen(
                command(str(run)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                cwd=run.parent,  # Windows deletes no folder that a process works in
                start_new_session=sys.platform != "win32",
                creationflags=flags,
            )
    except OSError as error:
        raise OutputError(
            f"{run}: the training cannot be started ({error.strerror or error})."
        ) from error
    yield_to_viewer(process.pid)
    return process


def command(*args: str) -> list[str]:
    """Return the command line of `sam2lora train`, run by this Python, wherever it is started."""
    return [sys.executable, "-P", "-m", "sam2lora", "train", *args]


def environment() -> dict[str, str]:
    """Return the environment of a process that leaves the viewer a core."""
    threads = str(max(1, _cores() - 1))
    return {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}


def yield_to_viewer(pid: int) -> None:
    """Lower the priority of a process, and of those that it starts."""
    with suppress(psutil.Error):  # it may have ended already
        process = psutil.Process(pid)
        if sys.platform == "win32":
            process.nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
        else:
            process.nice(_NICENESS)
    # Linux gives each session an equal share, whatever the priorities of its processes, so the
    # priority of the session is lowered, too, unless it is the viewer's session.
    with suppress(OSError):
        if sys.platform == "linux" and os.getsid(pid) == pid:
            Path(f"/proc/{pid}/autogroup").write_text(str(_NICENESS), encoding="ascii")


def last_output(run: Path) -> str:
    """Return the last lines that the process printed, or an empty string."""
    try:
        with (run / OUTPUT).open("rb") as output:
            output.seek(max(0, output.seek(0, os.SEEK_END) - _TAIL))
            lines = output.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return " ".join([line.strip() for line in lines if line.strip()][-_LINES:])


def _cores() -> int:
    """Count the processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
