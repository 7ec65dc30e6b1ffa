"""The commands and the Python of the README run, as a reader would type them."""

import shlex
from pathlib import Path

import pytest

from .pages import code_blocks

README = Path(__file__).resolve().parents[2] / "README.md"

SHORTER = {"train": ["--steps", "2", "--set", "validation.every=2"]}
"""Options that make a command quick enough for a test."""


@pytest.mark.shipped
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_run(run_cli, files_of_pages: Path, one_thread: None) -> None:
    lines = [
        line
        for line in "".join(code_blocks(README.read_text(encoding="utf-8"), "sh")).splitlines()
        if line.startswith("sam2lora ")
    ]
    assert len(lines) >= 7
    for line in lines:
        arguments = shlex.split(line, comments=True)[1:]
        ran = run_cli(*arguments, *SHORTER.get(arguments[0], []))
        assert ran.code == 0, f"{line}\n{ran.out}\n{ran.err}"
    made = ("result", "masks", "corrected", "runs/disc/adapters", "report/report.md", "table.csv")
    assert [path for path in made if not (files_of_pages / path).exists()] == []


@pytest.mark.shipped
def test_python_runs(files_of_pages: Path, one_thread: None) -> None:
    known: dict[str, object] = {}
    for block in code_blocks(README.read_text(encoding="utf-8"), "python"):
        exec(compile(block, README.name, "exec"), known)
    assert set(known["found"]) == {"vessel", "disc", "cup"}
