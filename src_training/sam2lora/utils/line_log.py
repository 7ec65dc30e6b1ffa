"""Append lines to a log so that a killed writer or a full disk leaves whole lines alone."""

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from sam2lora.utils.files import sync_folder, write_error

_BLOCK = 1 << 16  # bytes read at once, from the end


def append_line(path: Path, line: bytes, *, durable: bool, advice: str = "") -> None:
    r"""Append one line, after removing an incomplete last line of a killed writer.

    The file is opened again each time, so that a deleted folder is noticed, and can be deleted on
    Windows. Only one process may write.

    Parameters
    ----------
    path
        The log; created if missing, in a folder that exists.
    line
        The line, without a line break in it or at its end.
    durable
        Whether the line is synced to disk immediately.
    advice
        As in `files.write_error`.

    Raises
    ------
    OutputError
        If the disk is full or the folder is gone; the file then ends with the previous line.
    """
    try:
        end = _cut_incomplete_line(path)
        try:
            with path.open("ab") as stream:
                stream.write(line + b"\n")
                stream.flush()
                if durable:
                    os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):
                os.truncate(path, end)
            raise
        if end == 0:
            sync_folder(path.parent)
    except OSError as error:
        raise write_error(path, error, advice=advice) from error


def complete_lines(content: bytes) -> list[bytes]:
    """Return the lines of a log without an incomplete last one."""
    return content.split(b"\n")[:-1]


def _cut_incomplete_line(path: Path) -> int:
    """Truncate the file after its last complete line, and return its size; 0 if there is none."""
    try:
        with path.open("rb+") as stream:
            size = stream.seek(0, os.SEEK_END)
            end = _end_of_lines(stream, size)
            if end < size:
                stream.truncate(end)
            return end
    except FileNotFoundError:
        return 0


def _end_of_lines(stream: BinaryIO, size: int) -> int:
    """Find the position after the last newline, reading backwards."""
    end = size
    step = 1  # almost always enough
    while end > 0:
        start = max(0, end - step)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end, step = start, _BLOCK
    return 0
