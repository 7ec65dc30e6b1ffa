"""Time is counted while something happens, and handed out in pieces."""

from datetime import UTC, datetime, timedelta

from sam2lora.grading import WorkClock, WorkEntry

START = datetime(2030, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def spans(entries: list[WorkEntry]) -> list[tuple[str, float, float]]:
    return [
        (one.image, (one.start - START).total_seconds(), (one.end - START).total_seconds())
        for one in entries
    ]


def test_pieces_of_half_a_minute_are_handed_out():
    clock = WorkClock()
    handed = [spans(clock.act("a", at(second))) for second in (0, 10, 29, 31, 50)]
    assert handed == [[], [], [], [("a", 0, 31)], []]
    assert spans(clock.act(None, at(55))) == [("a", 31, 55)]
    assert clock.act(None, at(60)) == []


def test_idle_time_is_left_out():
    clock = WorkClock()
    clock.act("a", at(0))
    clock.act("a", at(20))
    assert spans(clock.act("a", at(200))) == [("a", 0, 20)]
    assert spans(clock.act("b", at(230))) == [("a", 200, 230)]
    assert spans(clock.act(None, at(1000))) == []


def test_each_image_has_its_own_time():
    clock = WorkClock(piece=timedelta(hours=1))
    clock.act("a", at(0))
    assert spans(clock.act("b", at(12))) == [("a", 0, 12)]
    assert spans(clock.act("a", at(30))) == [("b", 12, 30)]


def test_clock_that_is_set_back_counts_no_negative_time():
    clock = WorkClock()
    clock.act("a", at(100))
    clock.act("a", at(110))
    assert spans(clock.act("a", at(50))) == [("a", 100, 110)]
    assert spans(clock.act(None, at(70))) == [("a", 50, 70)]
