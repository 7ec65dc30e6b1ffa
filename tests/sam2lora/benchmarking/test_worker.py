"""A worker: one side, a turn for each line."""

import io
import sys

import pytest

from sam2lora.benchmarking import worker


def test_the_worker_answers_each_line(monkeypatch: pytest.MonkeyPatch, small):
    said, turns = [], []
    monkeypatch.setattr(worker, "SIDES", {("encode", "ours"): lambda _: lambda: turns.append(1)})
    monkeypatch.setattr(worker, "_answer", lambda stream, content: said.append(content))
    monkeypatch.setattr(worker.os, "dup", lambda _: 1)
    monkeypatch.setattr(worker.os, "fdopen", lambda *_: io.StringIO())
    monkeypatch.setattr(worker.os, "dup2", lambda *_: None)
    monkeypatch.setattr(worker, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(sys, "argv", ["worker", "encode", "ours", small.model_dump_json()])
    monkeypatch.setattr(sys, "stdin", io.StringIO("turn\nturn\n"))
    worker.main()
    assert len(said) == 3
    assert len(turns) == 2
    assert said[0]["device"] == "cpu"
    assert said[-1]["peak"] >= said[-1]["before"]
