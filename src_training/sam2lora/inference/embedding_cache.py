"""Keep what the encoder found, so that an image is encoded once and prompted many times.

Features are kept in memory up to a limit, the least recently used going first, and on request in a
folder as well, in float16. The key says everything the features depend on, so nothing needs to be
invalidated.
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

from sam2lora.models.sam2_image_model import ImageEmbedding
from sam2lora.utils.files import atomic_path, make_folder

logger = logging.getLogger(__name__)

DEFAULT_LIMIT = 1 << 30
"""Bytes of memory features may take: about 60 windows of a 1024² model in float32."""


class Sized(Protocol):
    """Anything that knows how many bytes it takes."""

    def nbytes(self) -> int:
        """Count the bytes."""
        ...


Value = TypeVar("Value", bound=Sized)


class ByteLru(Generic[Value]):
    """Values by key, bounded in bytes, the least recently used going first; safe across threads.

    Parameters
    ----------
    limit
        Bytes the values may take together. A single one that is larger is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, Value] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def nbytes(self) -> int:
        """Count the bytes in use."""
        return self._bytes

    def get(self, key: str) -> Value | None:
        """Give the value kept under `key`, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key]

    def put(self, key: str, value: Value) -> None:
        """Keep a value, replacing an older one under the same key."""
        with self._lock:
            if key in self._kept:
                self._bytes -= self._kept.pop(key).nbytes()
            if value.nbytes() > self._limit:
                return
            self._kept[key] = value
            self._bytes += value.nbytes()
            while self._bytes > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.nbytes()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


class EmbeddingCache:
    """Features by key: in memory, and on request in a folder that outlives the session.

    Parameters
    ----------
    limit
        Bytes of memory the features may take together.
    folder
        Where to keep them as files too; None for memory only.
    folder_limit
        Bytes the folder may take; the files used longest ago go first.
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
        """Give the features kept under `key`, on `device`, or None.

        A file that is damaged is deleted, with a warning in the log, and counts as missing.
        """
        features = self.memory.get(key)
        if features is None and self._folder:
            features = _load(_file(self._folder, key))
            if features is not None:
                self.memory.put(key, features.to(device=device))
        return None if features is None else features.to(device=device)

    def put(self, key: str, features: ImageEmbedding) -> None:
        """Keep features under `key`; in memory they stay on their device.

        Raises
        ------
        OutputError
            If the folder cannot be written.
        """
        self.memory.put(key, features)
        if self._folder:
            half = features.to(device="cpu", dtype=torch.float16)
            tensors = {name: tensor.contiguous() for name, tensor in vars(half).items()}
            with atomic_path(_file(self._folder, key)) as temporary:
                # As bytes: safetensors' own writing raises errors of its own when a disk is full.
                temporary.write_bytes(safetensors.torch.save(tensors))
            _trim(self._folder, self._folder_limit)


def _file(folder: Path, key: str) -> Path:
    return folder / f"{key}.safetensors"


def _load(path: Path) -> ImageEmbedding | None:
    try:
        features = ImageEmbedding(**safetensors.torch.load_file(path)).to(dtype=torch.float32)
    except FileNotFoundError:
        return None
    except (SafetensorError, TypeError, OSError) as error:
        logger.warning("%s is damaged (%s); it is deleted and made again.", path, error)
        path.unlink(missing_ok=True)
        return None
    with suppress(OSError):  # where the time of last use cannot be noted, it only goes earlier
        path.touch()
    return features


def _trim(folder: Path, limit: int) -> None:
    files = []
    for path in folder.glob("[!.]*.safetensors"):  # hidden ones are being written
        with suppress(FileNotFoundError):  # another process makes room here, too
            files.append((path, path.stat()))
    total = sum(stat.st_size for _, stat in files)
    for path, stat in sorted(files, key=lambda entry: entry[1].st_mtime):
        if total <= limit:
            return
        path.unlink(missing_ok=True)
        total -= stat.st_size
