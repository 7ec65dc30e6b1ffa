"""Settings of memory: only where they are known, and never against the user."""

import ctypes
import os
import sys

import pytest

from sam2lora.compute import allocator


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Pretend to be Linux with glibc, and note what malloc is asked."""
    calls: list[tuple[int, int]] = []
    library = type("Library", (), {"mallopt": lambda self, *how: calls.append(how)})()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda _: library)
    for name in [name for name in os.environ if name.startswith("MALLOC_")]:
        monkeypatch.delenv(name)
    return calls


def test_freed_memory_is_kept(asked):
    allocator.keep_freed_memory()
    assert sorted(asked) == [(-3, 1 << 30), (-1, 1 << 30)]


def test_the_users_own_settings_stay(asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1000")
    allocator.keep_freed_memory()
    assert asked == []


def test_other_systems_and_libraries_are_left_alone(asked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())  # musl has no mallopt
    allocator.keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delenv(allocator.HUGE_PAGES, raising=False)
    allocator.keep_freed_memory()
    allocator.use_huge_pages()
    assert asked == []
    assert allocator.HUGE_PAGES not in os.environ


@pytest.mark.parametrize(("before", "after"), [(None, "1"), ("0", "0")])
def test_large_pages_unless_the_user_decided(
    asked, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
):
    monkeypatch.setenv(allocator.HUGE_PAGES, before or "")
    if before is None:
        monkeypatch.delenv(allocator.HUGE_PAGES)
    allocator.use_huge_pages()
    assert os.environ[allocator.HUGE_PAGES] == after
