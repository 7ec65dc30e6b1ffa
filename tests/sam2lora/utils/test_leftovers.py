"""Temporary files of killed processes are deleted, those of living ones never."""

import os
import subprocess
import sys
from pathlib import Path

from sam2lora.utils.files import make_folder
from sam2lora.utils.leftovers import temporary_name


def test_only_those_of_dead_processes_here_are_deleted(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = temporary_name()
    dead = own.replace(f"-{os.getpid()}-", f"-{ended.pid}-")
    elsewhere = dead.replace(own.split("-")[1], "0" * 8)
    (tmp_path / dead).mkdir()
    for name in (f".{dead}.png", f".{own}.png", f".{elsewhere}.png", ".a_disc-1234abcd.png"):
        (tmp_path / name).touch()
    make_folder(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f".{own}.png", f".{elsewhere}.png", ".a_disc-1234abcd.png"}
