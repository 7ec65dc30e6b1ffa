"""A worker takes a turn of its side for each line of input."""

import io
import sys

import numpy as np
import pytest

from benchmarks.speed import worker
from benchmarks.speed.worker import current_bytes, peak_bytes


def test_worker_writes_a_result_for_each_line(monkeypatch: pytest.MonkeyPatch, small):
    results, turns = [], []
    monkeypatch.setattr(worker, "SIDES", {("encode", "ours"): lambda _: lambda: turns.append(1)})
    monkeypatch.setattr(worker, "_write", lambda stream, content: results.append(content))
    monkeypatch.setattr(worker.os, "dup", lambda _: 1)
    monkeypatch.setattr(worker.os, "fdopen", lambda *_: io.StringIO())
    monkeypatch.setattr(worker.os, "dup2", lambda *_: None)
    monkeypatch.setattr(worker, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(sys, "argv", ["worker", "encode", "ours", small.model_dump_json()])
    monkeypatch.setattr(sys, "stdin", io.StringIO("turn\nturn\n"))
    worker.main()
    assert len(results) == 3
    assert len(turns) == 2
    assert results[0]["device"] == "cpu"
    assert results[-1]["peak"] >= results[-1]["before"]


def test_peak_memory_includes_allocated_arrays():
    before = peak_bytes()
    array = np.ones(64 << 20, dtype=np.uint8)
    assert current_bytes() >= array.nbytes
    assert peak_bytes() >= before
    del array
    assert peak_bytes() >= current_bytes()
