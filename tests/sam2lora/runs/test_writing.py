"""What a run writes survives a crash; what cannot be written is said with advice for a run."""

import errno
import os
from pathlib import Path

import pytest

from sam2lora.errors import OutputError
from sam2lora.runs.writing import durable_path


def test_a_file_that_cannot_be_written_comes_with_advice_for_a_run(tmp_path: Path):
    with (
        pytest.raises(OutputError, match=r"No space left.*sam2lora train RUN") as caught,
        durable_path(tmp_path / "a.json"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "--out" not in str(caught.value)
    with pytest.raises(OutputError, match="No such file"), durable_path(tmp_path / "no" / "a"):
        pass


def test_a_folder_that_cannot_be_synced_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(handle: int) -> None:
        if os.fstat(handle).st_ino == tmp_path.stat().st_ino:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fail)
    with (
        pytest.raises(OutputError, match=r"a\.json.*Input/output"),
        durable_path(tmp_path / "a.json") as temporary,
    ):
        temporary.write_text("{}")


def test_errors_of_the_caller_pass(tmp_path: Path):
    with pytest.raises(OutputError, match=r"^mine$"), durable_path(tmp_path / "a.json"):
        raise OutputError("mine")
    assert not list(tmp_path.iterdir())
