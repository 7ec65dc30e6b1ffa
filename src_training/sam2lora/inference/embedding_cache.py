"""Cache image embeddings, so that an image is encoded once and prompted many times.

They are cached in memory up to a limit (least recently used first out), and optionally in a folder,
in float16. A key contains everything an embedding depends on, so no entry ever becomes invalid.
"""

import logging
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import safetensors.torch
import torch
from safetensors import SafetensorError

from sam2lora.models.outputs import ImageEmbedding
from sam2lora.utils.files import atomic_path, make_folder

logger = logging.getLogger(__name__)

DEFAULT_LIMIT = 1 << 30
"""Bytes of memory the embeddings may take: about 60 windows of a 1024² model in float32."""


class Sized(Protocol):
    """Anything that has a size in bytes."""

    def nbytes(self) -> int:
        """Count the bytes."""
        ...


Value = TypeVar("Value", bound=Sized)


class ByteLru(Generic[Value]):
    """Cache of least recently used values, bounded in bytes; safe across threads.

    Parameters
    ----------
    limit
        Bytes all values may take. A single value that is larger is not cached.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: OrderedDict[str, Value] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def nbytes(self) -> int:
        """Count the bytes in use."""
        return self._bytes

    def get(self, key: str) -> Value | None:
        """Return the value of `key`, or None."""
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key]

    def put(self, key: str, value: Value) -> None:
        """Cache a value, replacing an older one of the same key."""
        with self._lock:
            if key in self._values:
                self._bytes -= self._values.pop(key).nbytes()
            if value.nbytes() > self._limit:
                return
            self._values[key] = value
            self._bytes += value.nbytes()
            while self._bytes > self._limit:
                _, oldest = self._values.popitem(last=False)
                self._bytes -= oldest.nbytes()

    def clear(self) -> None:
        """Remove all values."""
        with self._lock:
            self._values.clear()
            self._bytes = 0


class EmbeddingCache:
    """Image embeddings by key: in memory, and optionally in a folder that outlives the process.

    Parameters
    ----------
    limit
        Bytes of memory all embeddings may take.
    folder
        Where to cache them as files, too; None for memory only.
    folder_limit
        Bytes the folder may take; the least recently used files are deleted first.
    """

    def __init__(
        self,
        limit: int = DEFAULT_LIMIT,
        *,
        folder: Path | None = None,
        folder_limit: int = 20 * DEFAULT_LIMIT,
    ) -> None:
        self.memory = ByteLru[ImageEmbedding](limit)
        self._folder = make_folder(folder) if folder else None
        self._folder_limit = folder_limit

    def get(self, key: str, *, device: torch.device) -> ImageEmbedding | None:
        """Return the embedding of `key`, on `device`, or None.

        A damaged file is deleted with a warning in the log, and counts as missing.
        """
        embedding = self.memory.get(key)
        if embedding is None and self._folder:
            embedding = _load(_file(self._folder, key))
            if embedding is not None:
                self.memory.put(key, embedding.to(device=device))
        return None if embedding is None else embedding.to(device=device)

    def put(self, key: str, embedding: ImageEmbedding) -> None:
        """Cache an embedding; in memory it stays on its device.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        self.memory.put(key, embedding)
        if self._folder:
            half = embedding.to(device="cpu", dtype=torch.float16)
            tensors = {name: tensor.contiguous() for name, tensor in half.tensors().items()}
            with atomic_path(_file(self._folder, key)) as temporary:
                # As bytes: safetensors' `save_file` raises its own errors when the disk is full.
                temporary.write_bytes(safetensors.torch.save(tensors))
            _trim(self._folder, self._folder_limit)


def _file(folder: Path, key: str) -> Path:
    return folder / f"{key}.safetensors"


def _load(path: Path) -> ImageEmbedding | None:
    try:
        embedding = ImageEmbedding(**safetensors.torch.load_file(path)).to(dtype=torch.float32)
    except FileNotFoundError:
        return None
    except (SafetensorError, TypeError, OSError) as error:
        logger.warning("%s is damaged (%s); it is deleted and encoded again.", path, error)
        path.unlink(missing_ok=True)
        return None
    with suppress(OSError):  # a file that cannot be touched is only deleted earlier
        path.touch()
    return embedding


def _trim(folder: Path, limit: int) -> None:
    files = []
    for path in folder.glob("[!.]*.safetensors"):  # hidden ones are being written
        with suppress(FileNotFoundError):  # another process may trim the folder, too
            files.append((path, path.stat()))
    total = sum(stat.st_size for _, stat in files)
    for path, stat in sorted(files, key=lambda entry: entry[1].st_mtime):
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= stat.st_size
