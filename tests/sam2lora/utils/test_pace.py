"""When a growing file is written again."""

import pytest

from sam2lora.utils.pace import Pace


def test_writing_is_due_now_and_then_and_less_often_if_it_takes_long(
    monkeypatch: pytest.MonkeyPatch,
):
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    pace = Pace()
    now += 19
    assert not pace.is_due()
    now += 2
    assert pace.is_due()
    with pace.writing():
        now += 3
    now += 59
    assert not pace.is_due()
    now += 2
    assert pace.is_due()
