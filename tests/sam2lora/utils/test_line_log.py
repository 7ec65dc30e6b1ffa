"""Lines are appended whole, after a killed writer and on a full disk."""

import os
from pathlib import Path

import pytest

from sam2lora.errors import OutputError
from sam2lora.utils.line_log import append_line, complete_lines


def test_incomplete_last_line_is_replaced_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    append_line(path, b"one", durable=True)
    with path.open("ab") as stream:
        stream.write(b"torn")
    assert complete_lines(path.read_bytes()) == [b"one"]
    append_line(path, b"two", durable=False)
    assert path.read_bytes() == b"one\ntwo\n"


def test_full_disk_keeps_the_lines_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    append_line(path, b"one", durable=True)

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"log\.jsonl: cannot be written \(No space.*Try again"):
        append_line(path, b"two", durable=True, advice="Try again.")
    assert path.read_bytes() == b"one\n"


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="gone"):
        append_line(tmp_path / "gone" / "log", b"one", durable=False)
