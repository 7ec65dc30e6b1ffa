"""Write `events.jsonl`, read it, and follow it while another process writes it."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from sam2lora.runs.checkpoint import RESUME_ADVICE
from sam2lora.runs.events import EVENTS, Event, ResumedEvent
from sam2lora.utils.files import read_error
from sam2lora.utils.line_log import append_line, complete_lines

_HEAD = 256  # bytes that identify a file of events: they hold its first time stamp
_TAIL = 1 << 16


def append_event(path: Path, event: Event) -> None:
    """Append one line, after removing an incomplete last line of a killed writer.

    Only the process that holds the run's lock may write.

    Raises
    ------
    OutputError
        If the disk is full or the folder is gone; the file then ends with the previous event.
    """
    append_line(path, event.model_dump_json().encode(), durable=event.durable, advice=RESUME_ADVICE)


def read_events(path: Path) -> tuple[list[Event], int]:
    """Read all events that still count.

    Events beyond the step of a later `ResumedEvent` are dropped, and so is an incomplete last line.

    Returns
    -------
    The events, and the number of lines that this version cannot read; nothing and 0 if there is no
    file yet.

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
        raise read_error(path, error) from error
    events, skipped = _parse(content)
    return drop_superseded(events), skipped


def read_first_events(path: Path) -> list[Event]:
    """Read the first events of the file; none if there is no file yet.

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
        raise read_error(path, error) from error


def read_last_events(path: Path) -> tuple[list[Event], int]:
    """Read the last events of the file, as `read_events` does; at least one, if there is any.

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
        raise read_error(path, error) from error
    return (drop_superseded(events), skipped) if events else read_events(path)


def drop_superseded(events: Iterable[Event]) -> list[Event]:
    """Drop the events that a resumed run repeats: those beyond the step of a `ResumedEvent`."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, ResumedEvent):
            kept = [earlier for earlier in kept if earlier.step <= event.step]
        kept.append(event)
    return kept


@dataclass(frozen=True)
class LogPosition:
    """Position up to which a file of events was read.

    Attributes
    ----------
    offset
        Bytes read.
    head
        First bytes of the file, by which a replaced file is noticed.
    """

    offset: int = 0
    head: bytes = b""


START = LogPosition()
"""The position before anything was read."""


@dataclass(frozen=True)
class NewEvents:
    """Result of `follow_events`.

    Attributes
    ----------
    events
        New events, in the order of the file. Append them to the earlier ones, then call
        `drop_superseded`.
    position
        Position for the next call.
    restarted
        Whether the file was replaced or truncated, so that earlier events no longer count.
    missing
        Whether the file cannot be read: not yet, or no longer.
    skipped
        Number of lines that this version cannot read.
    """

    events: list[Event]
    position: LogPosition
    restarted: bool = False
    missing: bool = False
    skipped: int = 0


def follow_events(path: Path, position: LogPosition = START, *, limit: int = 1 << 18) -> NewEvents:
    """Read the events that were written after `position`, at little cost.

    Parameters
    ----------
    path
        The file, which may be missing, growing, truncated, deleted or replaced at any time.
    position
        Position from the previous call.
    limit
        Bytes to read at once, rounded up to a line. As long as the position changes, there may be
        more.
    """
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            same = size >= position.offset and stream.read(len(position.head)) == position.head
            offset = position.offset if same else 0
            stream.seek(offset)
            content = stream.read(limit)
            content += b"" if content.endswith(b"\n") else stream.readline()
            offset += content.rfind(b"\n") + 1
            stream.seek(0)
            head = stream.read(min(_HEAD, offset))
    except OSError:
        return NewEvents([], position, missing=True)
    events, skipped = _parse(content)
    return NewEvents(events, LogPosition(offset, head), restarted=not same, skipped=skipped)


def _parse(content: bytes) -> tuple[list[Event], int]:
    """Return the events of all complete lines, and the number of lines that are not events."""
    events, skipped = [], 0
    for line in complete_lines(content):
        try:
            events.append(EVENTS.validate_json(line))
        except ValidationError:
            skipped += 1
    return events, skipped
