"""Cache hashes of large files, which take long to compute.

They are stored in `models.json` in the cache folder, and valid as long as the size and the
modification time of the file do not change.
"""

import json
from pathlib import Path

from sam2lora.errors import ModelError, OutputError
from sam2lora.utils.download import cache_folder
from sam2lora.utils.files import atomic_path, make_folder
from sam2lora.utils.json_files import read_json_object


def cached_hash(path: Path, kind: str) -> str | None:
    """Return the cached hash of one kind of a file; None if there is none or the file changed."""
    entry = _entries().get(str(path.resolve()), {})
    return entry.get(kind) if entry.get("stamp") == _stamp(path) else None


def cache_hash(path: Path, kind: str, value: str) -> None:
    """Cache a hash of one kind of a file."""
    entries = _entries()
    key, stamp = str(path.resolve()), _stamp(path)
    old = entries.get(key, {})
    entries[key] = (old if old.get("stamp") == stamp else {"stamp": stamp}) | {kind: value}
    try:
        make_folder(cache_folder())
        with atomic_path(_cache_file()) as temporary:
            temporary.write_text(json.dumps(entries, indent=1), encoding="utf-8")
    except OutputError:
        # A cache that cannot be written only costs time at the next start.
        return


def _cache_file() -> Path:
    return cache_folder() / "models.json"


def _entries() -> dict[str, dict[str, str]]:
    try:
        entries = read_json_object(_cache_file(), error=ModelError, any_text=True)
    except ModelError:  # computed again
        return {}
    return {
        name: {key: value for key, value in entry.items() if isinstance(value, str)}
        for name, entry in entries.items()
        if isinstance(entry, dict)
    }


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
