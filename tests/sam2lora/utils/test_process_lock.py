"""A locked folder is refused, within one process too, and free when its holder leaves it."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from sam2lora.errors import OutputError
from sam2lora.utils.process_lock import HOLDER, holder_of, is_locked, process_lock


def test_second_caller_is_refused_by_name(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    with process_lock(tmp_path, refusal="held by {}".format):
        assert is_locked(tmp_path)
        holder = holder_of(tmp_path)
        assert holder is not None
        assert holder.pid == os.getpid()
        expected = f"held by process {os.getpid()} on"
        with (
            pytest.raises(OutputError, match=expected),
            process_lock(tmp_path, refusal="held by {}".format),
        ):
            pass
        (tmp_path / HOLDER).write_text("{torn")
        assert holder_of(tmp_path) is None
    assert not is_locked(tmp_path)
    assert not (tmp_path / HOLDER).exists()


def test_lock_is_released_by_another_thread_than_took_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool, ExitStack() as held:
        lock = process_lock(tmp_path, refusal="held by {}".format)
        pool.submit(held.enter_context, lock).result()
        assert is_locked(tmp_path)
        held.close()
        assert not is_locked(tmp_path)  # while the thread lives on
