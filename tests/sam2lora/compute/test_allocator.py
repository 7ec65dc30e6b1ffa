"""Settings of the memory allocator: only on known systems, and never against the user's."""

import ctypes
import os
import sys

import pytest

from sam2lora.compute import allocator


@pytest.fixture
def mallopt_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Simulate Linux with glibc, and return the list of calls of mallopt."""
    calls: list[tuple[int, int]] = []
    library = type("Library", (), {"mallopt": lambda self, *how: calls.append(how)})()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    return calls


def test_freed_memory_is_kept(mallopt_calls):
    allocator.keep_freed_memory()
    assert sorted(mallopt_calls) == [(-3, 1 << 30), (-1, 1 << 30)]


def test_malloc_settings_of_the_user_are_kept(mallopt_calls, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    allocator.keep_freed_memory()
    assert mallopt_calls == []


def test_other_systems_and_c_libraries_are_not_changed(
    mallopt_calls, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())  # musl has no mallopt
    allocator.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv(allocator.HUGE_PAGES, raising=False)
    allocator.keep_freed_memory()
    allocator.use_huge_pages()
    assert mallopt_calls == []
    assert allocator.HUGE_PAGES not in os.environ


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_huge_pages_are_used_unless_the_user_set_the_variable(
    mallopt_calls, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
):
    monkeypatch.setenv(allocator.HUGE_PAGES, before or "")
    if before is None:
        monkeypatch.delenv(allocator.HUGE_PAGES)
    allocator.use_huge_pages()
    assert os.environ[allocator.HUGE_PAGES] == after
