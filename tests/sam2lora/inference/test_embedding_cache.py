"""Embeddings are cached within limits, optionally on disk; damaged files are deleted."""

import errno
import logging
import os
from pathlib import Path

import pytest
import torch

from sam2lora.errors import OutputError
from sam2lora.inference.embedding_cache import EmbeddingCache
from sam2lora.models.outputs import ImageEmbedding

CPU = torch.device("cpu")


def embedding(value: float = 1.0) -> ImageEmbedding:
    """Create an embedding of 448 bytes."""
    return ImageEmbedding(
        torch.full((1, 16, 2, 2), value),
        torch.full((1, 2, 4, 4), value),
        torch.full((1, 4, 2, 2), value),
    )


SIZE = embedding(0.0).nbytes()


def test_least_recently_used_embedding_is_removed_first() -> None:
    cache = EmbeddingCache(2 * SIZE)
    for name in ("a", "b"):
        cache.put(name, embedding())
    assert cache.get("a", device=CPU) is not None
    cache.put("c", embedding(2.0))
    assert cache.get("b", device=CPU) is None
    assert cache.get("a", device=CPU) is not None
    assert cache.memory.nbytes() == 2 * SIZE


def test_replaced_embedding_is_counted_once() -> None:
    cache = EmbeddingCache(10 * SIZE)
    for value in (1.0, 2.0):
        cache.put("a", embedding(value))
    assert cache.memory.nbytes() == SIZE
    kept = cache.get("a", device=CPU)
    assert kept is not None
    assert kept.fine.max() == 2


def test_embedding_larger_than_the_limit_is_not_cached() -> None:
    cache = EmbeddingCache(SIZE - 1)
    cache.put("a", embedding())
    assert cache.get("a", device=CPU) is None
    assert cache.memory.nbytes() == 0


def test_cache_folder_outlives_the_process(tmp_path: Path) -> None:
    EmbeddingCache(folder=tmp_path / "embeddings").put("a", embedding(0.123))
    kept = EmbeddingCache(folder=tmp_path / "embeddings").get("a", device=CPU)
    assert kept is not None
    assert kept.fine.dtype == torch.float32
    torch.testing.assert_close(kept.image_embed, embedding(0.123).image_embed, atol=1e-3, rtol=0)


def test_cache_folder_is_trimmed_by_last_use(tmp_path: Path) -> None:
    cache = EmbeddingCache(0, folder=tmp_path, folder_limit=10**9)
    for age, name in enumerate(["old", "used", "new"]):
        cache.put(name, embedding())
        os.utime(tmp_path / f"{name}.safetensors", (age, age))
    one = (tmp_path / "new.safetensors").stat().st_size
    assert cache.get("old", device=CPU) is not None
    limited = EmbeddingCache(0, folder=tmp_path, folder_limit=2 * one)
    limited.put("newest", embedding())
    assert {path.stem for path in tmp_path.iterdir()} == {"old", "newest"}


def test_damaged_cache_file_is_deleted_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    EmbeddingCache(folder=tmp_path).put("a", embedding())
    path = tmp_path / "a.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    with caplog.at_level(logging.WARNING):
        assert EmbeddingCache(folder=tmp_path).get("a", device=CPU) is None
    assert "damaged" in caplog.text
    assert not path.exists()


def test_unfinished_files_of_other_processes_are_kept(tmp_path: Path) -> None:
    half = tmp_path / ".b-0123.safetensors"
    half.write_bytes(b"being written")
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "deleted by another process")
    EmbeddingCache(0, folder=tmp_path, folder_limit=0).put("a", embedding())
    assert half.exists()
    assert not (tmp_path / "a.safetensors").exists()


def test_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    cache = EmbeddingCache(folder=tmp_path)
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        cache.put("a", embedding())
    assert list(tmp_path.iterdir()) == []


def test_read_only_cache_folder_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(path: Path) -> None:
        raise PermissionError("Read-only file system")

    EmbeddingCache(folder=tmp_path).put("a", embedding())
    cache = EmbeddingCache(folder=tmp_path)
    monkeypatch.setattr(Path, "touch", refused)
    assert cache.get("a", device=CPU) is not None
    assert not caplog.records
    assert (tmp_path / "a.safetensors").exists()


def test_uncreatable_cache_folder_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        EmbeddingCache(folder=tmp_path / "file" / "cache")
