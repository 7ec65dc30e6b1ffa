import os
from pathlib import Path

import pytest

from sam2lora.utils.download import cache_folder
from sam2lora.utils.hash_cache import cache_hash, cached_hash


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"12345")
    return path


def test_hashes_of_several_kinds_are_kept(file: Path):
    assert cached_hash(file, "identity") is None
    cache_hash(file, "identity", "a")
    cache_hash(file, "sha256", "b")
    assert cached_hash(file, "identity") == "a"
    assert cached_hash(file, "sha256") == "b"


@pytest.mark.parametrize("content", [b"123456", b"54321"])
def test_changed_file_has_no_cached_hash(file: Path, content: bytes):
    cache_hash(file, "identity", "a")
    before = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
    assert cached_hash(file, "identity") is None
    cache_hash(file, "sha256", "b")
    assert cached_hash(file, "identity") is None


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"FILE": 1}'])
def test_damaged_cache_is_ignored(file: Path, content: str):
    cache_folder().mkdir(parents=True)
    (cache_folder() / "models.json").write_text(content.replace("FILE", str(file)))
    assert cached_hash(file, "identity") is None
    cache_hash(file, "identity", "a")
    assert cached_hash(file, "identity") == "a"


def test_a_cache_that_cannot_be_written_is_no_error(file: Path):
    cache_folder().parent.mkdir(parents=True, exist_ok=True)
    cache_folder().write_text("in the way")
    cache_hash(file, "identity", "a")
    assert cached_hash(file, "identity") is None
