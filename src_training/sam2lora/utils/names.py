"""Compare and sort file names as people do, not as bytes."""

import re
import unicodedata
from pathlib import Path, PurePath
from typing import Any

_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)


def natural_key(name: str | PurePath) -> tuple[Any, ...]:
    """Return the key that sorts names by the numbers in them: `a2` before `a11`.

    Parameters
    ----------
    name
        A name, or a path, whose parts are compared one by one.
    """
    parts = name.parts if isinstance(name, PurePath) else (name,)
    return tuple((_pieces(part), part) for part in parts)


def plain_name(name: str) -> str:
    """Return a name in Unicode's composed form and lower case, to compare it with others.

    macOS decomposes an `é` in file names, Linux and Windows leave it as it was typed.
    """
    return unicodedata.normalize("NFC", name).lower()


def is_reserved(name: str) -> bool:
    """Check whether Windows has a device of this name, with or without a suffix."""
    return _DEVICES.fullmatch(name) is not None


def existing_spelling(path: Path) -> Path:
    """Return a path as it is spelled on disk, where only the Unicode form of its names differs.

    A path that does not exist in any form is returned unchanged.
    """
    if path.is_absolute() and path == path.parent:
        return path
    try:
        if path.exists() or (path.name.isascii() and path.parent.exists()):
            return path
    except (OSError, ValueError):  # no system has such a name
        return path
    folder = existing_spelling(path.parent) if path.parent != path else path
    wanted = unicodedata.normalize("NFC", path.name)
    try:
        names = [entry.name for entry in folder.iterdir()]
    except OSError:
        return path
    same = [name for name in names if unicodedata.normalize("NFC", name) == wanted]
    return folder / min(same) if same else path


def _pieces(part: str) -> tuple[Any, ...]:
    """Split a name into text and numbers in turn; a number is compared by its length first."""
    pieces = re.split(r"([0-9]+)", part)
    return tuple(
        (len(piece.lstrip("0")), piece.lstrip("0")) if number % 2 else piece
        for number, piece in enumerate(pieces)
    )
