"""Events are written atomically, and read correctly at the same time."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sam2lora.errors import OutputError, SettingsError
from sam2lora.runs.event_log import (
    START,
    append_event,
    drop_superseded,
    follow_events,
    read_events,
    read_last_events,
)
from sam2lora.runs.events import Event, PausedEvent, ResumedEvent, StepEvent, WarningEvent

Step = Callable[..., StepEvent]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def steps(events: list[Event]) -> list[int]:
    return [event.step for event in events if isinstance(event, StepEvent)]


def tear(path: Path) -> None:
    """Append an incomplete line, as a killed writer leaves it."""
    with path.open("ab") as stream:
        stream.write(b'{"kind":"step","step":99,"ti')


def test_appended_events_are_read(path: Path, step: Step):
    assert read_events(path) == ([], 0)
    events = [step(1), step(2), WarningEvent(step=2, words="Füße\nnass")]
    for event in events:
        append_event(path, event)
    assert read_events(path) == (events, 0)


def test_incomplete_last_line_is_dropped_and_the_next_event_kept(path: Path, step: Step):
    append_event(path, step(1))
    tear(path)
    events, skipped = read_events(path)
    assert (steps(events), skipped) == ([1], 0)
    append_event(path, step(2))
    events, skipped = read_events(path)
    assert (steps(events), skipped) == ([1, 2], 0)


def test_file_of_one_incomplete_line_starts_again(path: Path, step: Step):
    path.write_bytes(b"{" * 200_000)
    append_event(path, step(1))
    assert steps(read_events(path)[0]) == [1]


def test_unknown_lines_are_counted(path: Path, step: Step):
    append_event(path, step(1))
    with path.open("ab") as stream:
        stream.write(b'{"kind":"levitated","step":2,"time":"2031-01-01T00:00:00Z"}\n')
        stream.write(b"\0\0\0\0\n\xff\xfe\n[]\n\n")
        stream.write(b'{"kind":"step","step":-1}\n')
        stream.write(b"[" * 100_000 + b"\n")
    append_event(path, step(2))
    events, skipped = read_events(path)
    assert (steps(events), skipped) == ([1, 2], 7)
    assert follow_events(path).skipped == 7


def test_resumed_run_drops_the_events_it_repeats(path: Path, step: Step):
    for number in range(1, 11):
        append_event(path, step(number, 1.0))
    append_event(path, ResumedEvent(step=5))
    for number in range(6, 9):
        append_event(path, step(number, 2.0))
    events, _ = read_events(path)
    assert steps(events) == [1, 2, 3, 4, 5, 6, 7, 8]
    losses = [event.loss for event in events if isinstance(event, StepEvent)]
    assert losses == [1.0] * 5 + [2.0] * 3
    append_event(path, ResumedEvent(step=2))
    assert steps(read_events(path)[0]) == [1, 2]


def test_events_at_the_step_of_the_checkpoint_still_count(step: Step):
    pause, resumed = PausedEvent(step=5), ResumedEvent(step=5)
    assert drop_superseded([pause, step(6), resumed]) == [pause, resumed]


def test_a_follower_gets_each_event_once(path: Path, step: Step):
    news = follow_events(path)
    assert (news.events, news.position, news.missing) == ([], START, True)
    seen = []
    for number in range(5):
        append_event(path, step(number))
        news = follow_events(path, news.position)
        assert not news.restarted
        assert not news.missing
        seen += news.events
        assert follow_events(path, news.position).events == []
    assert steps(seen) == [0, 1, 2, 3, 4]


def test_a_follower_waits_for_the_rest_of_a_line(path: Path, step: Step):
    append_event(path, step(1))
    line = step(2).model_dump_json().encode() + b"\n"
    with path.open("ab") as stream:
        stream.write(line[:50])
    news = follow_events(path)
    assert steps(news.events) == [1]
    assert follow_events(path, news.position).position == news.position
    with path.open("ab") as stream:
        stream.write(line[50:])
    assert steps(follow_events(path, news.position).events) == [2]


def test_follower_survives_the_removal_of_an_incomplete_line(path: Path, step: Step):
    append_event(path, step(1))
    tear(path)
    news = follow_events(path)
    append_event(path, step(2))
    news = follow_events(path, news.position)
    assert steps(news.events) == [2]
    assert not news.restarted


def test_a_long_file_comes_in_parts(path: Path, step: Step):
    for number in range(50):
        append_event(path, step(number))
    seen, position, calls = [], START, 0
    while (news := follow_events(path, position, limit=1000)).position != position:
        seen, position, calls = seen + news.events, news.position, calls + 1
        assert not news.restarted
    assert steps(seen) == list(range(50))
    assert calls > 5


def test_a_line_longer_than_the_limit_is_read(path: Path, step: Step):
    append_event(path, WarningEvent(words="x" * 5000))
    append_event(path, step(1))
    news = follow_events(path, limit=100)
    assert [event.kind for event in news.events] == ["warning"]
    assert steps(follow_events(path, news.position).events) == [1]


def test_a_follower_sees_a_run_resumed(path: Path, step: Step):
    for number in range(1, 5):
        append_event(path, step(number, 1.0))
    first = follow_events(path)
    append_event(path, ResumedEvent(step=2))
    append_event(path, step(3, 2.0))
    second = follow_events(path, first.position)
    assert drop_superseded(first.events + second.events) == read_events(path)[0]
    assert not second.restarted


@pytest.mark.parametrize("longer", [False, True])
def test_follower_notices_another_run_at_the_same_path(path: Path, step: Step, longer: bool):
    for number in range(3):
        append_event(path, step(number, 1.0))
    position = follow_events(path).position
    path.unlink()
    gone = follow_events(path, position)
    assert (gone.missing, gone.position, gone.events) == (True, position, [])
    for number in range(9 if longer else 1):
        append_event(path, step(number, 2.0))
    news = follow_events(path, position)
    assert news.restarted
    assert {event.loss for event in news.events if isinstance(event, StepEvent)} == {2.0}
    assert not follow_events(path, news.position).restarted


def test_follower_notices_a_truncated_file(path: Path, step: Step):
    for number in range(1, 5):
        append_event(path, step(number))
    size = path.stat().st_size
    append_event(path, step(5))
    position = follow_events(path).position
    os.truncate(path, size)
    news = follow_events(path, position)
    assert (steps(news.events), news.restarted) == ([1, 2, 3, 4], True)
    os.truncate(path, 0)
    news = follow_events(path, news.position)
    assert (news.events, news.position, news.restarted) == ([], START, True)


def test_deleted_run_is_noticed_by_follower_and_writer(tmp_path: Path, step: Step):
    path = tmp_path / "run" / "events.jsonl"
    path.parent.mkdir()
    append_event(path, step(1))
    position = follow_events(path).position
    shutil.rmtree(path.parent)
    assert follow_events(path, position).missing
    with pytest.raises(OutputError, match=r"events\.jsonl: cannot be written \(No such file"):
        append_event(path, step(2))
    assert not path.parent.exists()
    path.parent.write_text("a file where the folder was")
    assert follow_events(path, position).missing


def test_last_events_are_read_without_the_whole_file(path: Path, step: Step):
    for number in range(1000):
        append_event(path, step(number))
    events, skipped = read_last_events(path)
    assert skipped == 0
    assert steps(events)[-1] == 999
    assert 100 < len(events) < 900


def test_event_before_a_long_damaged_end_is_found(path: Path, step: Step):
    append_event(path, step(7))
    with path.open("ab") as stream:
        stream.write(b"?\n" * 50_000)
    events, skipped = read_last_events(path)
    assert (steps(events), skipped) == ([7], 50_000)
    assert read_last_events(path.with_name("none")) == ([], 0)


def test_a_file_that_cannot_be_read_is_named(path: Path):
    path.mkdir()
    for read in (read_events, read_last_events):
        with pytest.raises(SettingsError, match=r"events\.jsonl: cannot be read"):
            read(path)
    assert follow_events(path).missing


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full (Linux)")
def test_full_disk_is_reported_with_advice(path: Path, step: Step):
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"events\.jsonl.*No space left.*sam2lora train RUN"):
        append_event(path, step(1))


LIMITED = """
import resource, sys
from pathlib import Path
from sam2lora.errors import OutputError
from sam2lora.runs import WarningEvent, append_event
path = Path(sys.argv[1])
append_event(path, WarningEvent(words="before"))
whole = path.read_bytes()
resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 40, resource.RLIM_INFINITY))
try:
    append_event(path, WarningEvent(words="too much"))
except OutputError as error:
    print(error)
assert path.read_bytes() == whole
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
append_event(path, WarningEvent(words="after"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit to the size of files (POSIX)")
def test_line_that_does_not_fit_on_the_disk_leaves_nothing(path: Path):
    """The limit interrupts a write, as a disk does that has a few bytes left."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cannot be written (File too large)" in done.stdout
    messages = [event.words for event in read_events(path)[0] if isinstance(event, WarningEvent)]
    assert messages == ["before", "after"]


WRITE = """
import sys
from pathlib import Path
from sam2lora.runs import WarningEvent, append_event
path = Path(sys.argv[1])
for step in range(10**9):
    append_event(path, WarningEvent(step=step, words="x" * 20_000))
"""


def test_events_of_a_killed_writer_have_no_gap(path: Path):
    process = subprocess.Popen([sys.executable, "-c", WRITE, str(path)])
    seen, position = [], START
    while len(seen) < 20 and process.poll() is None:
        news = follow_events(path, position)
        position = news.position
        seen += news.events
        assert not news.restarted
        assert news.skipped == 0
    process.kill()
    process.wait()
    while (news := follow_events(path, position)).position != position:
        position, seen = news.position, seen + news.events
    append_event(path, WarningEvent(step=len(seen), words="the next one"))
    events, skipped = read_events(path)
    assert [event.step for event in events] == list(range(len(seen) + 1))
    assert skipped == 0
