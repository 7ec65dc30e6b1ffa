"""Entries of zip files: written the same on every machine, and checked before they are unpacked."""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sam2lora.errors import OutputError, Sam2LoraError

MACOS_EXTRAS = ("__MACOSX", ".DS_Store")
"""Parts of the names of entries that the Finder adds to every archive."""


def new_entry(name: str) -> zipfile.ZipInfo:
    """Return an entry to write; without a date, since a zip file has none after 2107."""
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    return entry


def check_entry(
    entry: zipfile.ZipInfo, path: Path, *, largest: int, error: type[Sam2LoraError]
) -> None:
    """Refuse an entry that would leave its folder, is not a plain file, or is far too large.

    Parameters
    ----------
    entry
        The entry of an archive that is not trusted.
    path
        The archive, for the message.
    largest
        Size in bytes above which the entry is refused.
    error
        Class of the error to raise.

    Raises
    ------
    Sam2LoraError
        `error`, if it is refused.
    """
    name = entry.filename
    parts = name.rstrip("/").split("/")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
        raise error(f"{path}: holds {name!r}, which lies outside its folder. Not unpacked.")
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise error(f"{path}: holds {name!r}, a link or device. Not unpacked.")
    if entry.flag_bits & 1:
        raise error(f"{path}: {name!r} is encrypted. Not unpacked.")
    # Damaged entries of other methods raise errors of their own, and no program uses them by
    # default.
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise error(
            f"{path}: {name!r} has an unsupported compression. Not unpacked; pack it as an "
            "ordinary zip file."
        )
    if entry.file_size > largest:
        raise error(
            f"{path}: {name!r} would have {entry.file_size} bytes; the limit is {largest}. Not "
            "unpacked."
        )


@contextmanager
def unpacking(path: Path, *, error: type[Sam2LoraError]) -> Iterator[zipfile.ZipFile]:
    """Open an archive that is not trusted, and explain what goes wrong while it is read.

    Raises
    ------
    Sam2LoraError
        `error`, if it is corrupt or not a zip file.
    OutputError
        If it cannot be read, or what is unpacked cannot be written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as reason:
        raise error(f"{path}: is corrupt or not a zip file ({reason}).") from reason
    except OSError as reason:
        raise OutputError(f"{path}: cannot be unpacked ({reason.strerror or reason}).") from reason
