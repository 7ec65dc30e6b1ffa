"""A worker: one side, a turn for each line."""

import io
import sys

import numpy as np
import pytest

from benchmarks.speed import worker
from benchmarks.speed.worker import current_bytes, peak_bytes


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


def test_the_peak_grows_with_what_is_held():
    before = peak_bytes()
    held = np.ones(64 << 20, dtype=np.uint8)
    assert current_bytes() >= held.nbytes
    assert peak_bytes() >= before
    del held
    assert peak_bytes() >= current_bytes()
