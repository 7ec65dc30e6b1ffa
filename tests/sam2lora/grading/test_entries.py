"""Entries of a log are appended whole, and read in spite of what cannot be."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from sam2lora.errors import OutputError, SessionError
from sam2lora.grading.entries import (
    CommentEntry,
    PredictionEntry,
    StateEntry,
    UnreadableLine,
    WorkEntry,
    append_entry,
    read_entries,
)


def test_entries_are_read_as_written(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    assert read_entries(path) == []
    entries = [
        StateEntry(image="a", state="started"),
        CommentEntry(image="a", text="Füße\nnass"),
        PredictionEntry(image="a", target="disc", model="nano", adapter="nano-disc"),
    ]
    for entry in entries:
        append_entry(path, entry)
    assert read_entries(path) == entries
    assert entries[0].time.tzinfo is UTC


def test_torn_line_is_ignored_and_repaired(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    append_entry(path, StateEntry(image="a", state="started"))
    with path.open("ab") as stream:
        stream.write(b'{"kind":"state","image":"a","sta')
    assert [entry.image for entry in read_entries(path)] == ["a"]
    append_entry(path, StateEntry(image="b", state="done"))
    assert [entry.image for entry in read_entries(path)] == ["a", "b"]


def test_lines_of_another_version_are_counted(tmp_path: Path):
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"kind":"hummed","image":"a"}\n\xff\n')
    append_entry(path, StateEntry(image="b", state="done"))
    another, broken, entry = read_entries(path)
    assert (another, broken) == (UnreadableLine("a"), UnreadableLine(""))
    assert entry.image == "b"
    path.unlink()
    path.mkdir()
    with pytest.raises(SessionError, match=r"log\.jsonl: cannot be read"):
        read_entries(path)


def test_flag_without_reason_and_negative_interval_are_refused():
    with pytest.raises(ValidationError, match="needs a reason"):
        StateEntry(image="a", state="flagged", reason=" ")
    late, early = datetime(2030, 1, 2, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(ValidationError, match="cannot end before"):
        WorkEntry(image="a", start=late, end=early)


def test_full_disk_keeps_the_entries_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "log.jsonl"
    append_entry(path, StateEntry(image="a", state="started"))

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left.*do the same again"):
        append_entry(path, StateEntry(image="a", state="done"))
    assert [entry.state for entry in read_entries(path) if isinstance(entry, StateEntry)] == [
        "started"
    ]
