"""Write `events.jsonl`, read it, and follow it while another process writes it."""

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError

from sam2lora.runs.events import EVENTS, Event, ResumedEvent
from sam2lora.utils.files import cannot_read, cannot_write, sync_folder

_HEAD = 256  # bytes that tell one file of events from another: they hold its first time
_TAIL = 1 << 16


def append_event(path: Path, event: Event) -> None:
    """Write one line, after cutting off what a killed writer left of its last.

    The file is opened anew each time, so that a deleted run folder is noticed and Windows lets it
    be deleted. Only the process that holds the run's lock may write.

    Raises
    ------
    OutputError
        If the disk is full or the folder is gone; the file then ends with the event before.
    """
    try:
        end = _cut_torn_line(path)
        try:
            with path.open("ab") as stream:
                stream.write(event.model_dump_json().encode() + b"\n")
                stream.flush()
                if event.durable:
                    os.fsync(stream.fileno())
        except OSError:
            with suppress(OSError):
                os.truncate(path, end)
            raise
        if end == 0:
            sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def read_events(path: Path) -> tuple[list[Event], int]:
    """Read all events that count.

    Events beyond the step of a later `ResumedEvent` are dropped, and so is a torn last line.

    Returns
    -------
    The events, and the number of lines that are none this version knows. Both are empty if there
    is no file yet.

    Raises
    ------
    SettingsError
        If the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise cannot_read(path, error) from error
    events, skipped = _parse(content)
    return without_lost(events), skipped


def read_first_events(path: Path) -> list[Event]:
    """Read the beginning of the file: how the training started; nothing if there is no file yet.

    Raises
    ------
    SettingsError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return _parse(stream.read(_TAIL))[0]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise cannot_read(path, error) from error


def read_last_events(path: Path) -> tuple[list[Event], int]:
    """Read the end of the file, as `read_events` reads all of it; at least one event, if any is.

    Raises
    ------
    SettingsError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - _TAIL))
            if stream.tell():
                stream.readline()
            events, skipped = _parse(stream.read())
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        raise cannot_read(path, error) from error
    return (without_lost(events), skipped) if events else read_events(path)


def without_lost(events: Iterable[Event]) -> list[Event]:
    """Drop the events a resumed run does again: those beyond the step of a later `ResumedEvent`."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, ResumedEvent):
            kept = [earlier for earlier in kept if earlier.step <= event.step]
        kept.append(event)
    return kept


@dataclass(frozen=True)
class LogPosition:
    """How far a file of events was read; `head` is how it begins, to notice another file."""

    offset: int = 0
    head: bytes = b""


START = LogPosition()
"""Nothing was read yet."""


@dataclass(frozen=True)
class NewEvents:
    """What `follow_events` gives.

    Attributes
    ----------
    events
        In the order of the file. After adding them to those before, `without_lost` drops what a
        resumed run does again.
    place
        Where to go on.
    restarted
        The file is another one, or was cut: events given before no longer count.
    missing
        There is no file, or it cannot be read: not yet, or not any more.
    skipped
        Lines that are no event this version knows.
    """

    events: list[Event]
    place: LogPosition
    restarted: bool = False
    missing: bool = False
    skipped: int = 0


def follow_events(path: Path, place: LogPosition = START, *, limit: int = 1 << 18) -> NewEvents:
    """Give the events that were written since `place`, at little cost.

    Parameters
    ----------
    path
        The file, which may be missing, growing, cut, deleted or replaced meanwhile.
    place
        From the last call.
    limit
        Bytes to read at once, rounded up to a line. While `place` moves on, there may be more.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            same = size >= place.offset and stream.read(len(place.head)) == place.head
            offset = place.offset if same else 0
            stream.seek(offset)
            content = stream.read(limit)
            content += b"" if content.endswith(b"\n") else stream.readline()
            offset += content.rfind(b"\n") + 1
            stream.seek(0)
            head = stream.read(min(_HEAD, offset))
    except OSError:
        return NewEvents([], place, missing=True)
    events, skipped = _parse(content)
    return NewEvents(events, LogPosition(offset, head), restarted=not same, skipped=skipped)


def _parse(content: bytes) -> tuple[list[Event], int]:
    """Give the events of all whole lines, and how many lines are none."""
    events, skipped = [], 0
    for line in content.split(b"\n")[:-1]:
        try:
            events.append(EVENTS.validate_json(line))
        except ValidationError:
            skipped += 1
    return events, skipped


def _cut_torn_line(path: Path) -> int:
    """Cut the file after its last whole line, and give its size then; 0 if there is no file."""
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
    """Find the byte after the last newline, reading backwards."""
    end = size
    step = 1  # nearly always enough
    while end > 0:
        start = max(0, end - step)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end, step = start, _TAIL
    return 0
