"""Remember what took long to find out about a large file: its checksum, its identity.

The notes are `models.json` in the cache folder. A note counts only while the size and the time of
change of the file are what they were.
"""

import json
from pathlib import Path

from sam2lora.errors import OutputError
from sam2lora.utils.download import cache_folder
from sam2lora.utils.files import atomic_path, make_folder


def cached_hash(path: Path, fact: str) -> str | None:
    """Give what was noted about a file, if it has not changed since."""
    note = _notes().get(str(path.resolve()), {})
    return note.get(fact) if note.get("stamp") == _stamp(path) else None


def cache_hash(path: Path, fact: str, value: str) -> None:
    """Note something about a file that takes long to compute."""
    notes = _notes()
    key, stamp = str(path.resolve()), _stamp(path)
    old = notes.get(key, {})
    notes[key] = (old if old.get("stamp") == stamp else {"stamp": stamp}) | {fact: value}
    try:
        make_folder(cache_folder())
        with atomic_path(_notes_file()) as temporary:
            temporary.write_text(json.dumps(notes, indent=1), encoding="utf-8")
    except OutputError:
        # A cache that cannot be written costs time at the next start, nothing else.
        return


def _notes_file() -> Path:
    return cache_folder() / "models.json"


def _notes() -> dict[str, dict[str, str]]:
    try:
        notes = json.loads(_notes_file().read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(notes, dict):
        return {}
    return {name: note for name, note in notes.items() if isinstance(note, dict)}


def _stamp(path: Path) -> str:
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns}"
