"""Events are read back unchanged, whatever numbers and names they hold."""

import json
import math

import pytest
from pydantic import ValidationError

from sam2lora.runs.events import (
    EVENTS,
    CheckpointEvent,
    Event,
    FailedEvent,
    FinishedEvent,
    PausedEvent,
    PreviewEvent,
    ResumedEvent,
    StartedEvent,
    StepEvent,
    StoppedEvent,
    ValidationEvent,
    WarningEvent,
)

ONE_OF_EACH = [
    StartedEvent(target="disc", base="nano", steps=40, samples={"DRIVE": 16}, validation=4),
    StepEvent(
        step=3,
        loss=0.7,
        terms={"bce": 0.2, "soft_dice": 0.5},
        lr=1e-4,
        seconds=0.3,
        host_bytes=10**9,
        device_bytes=2 * 10**9,
        eta_s=12.5,
    ),
    ValidationEvent(
        step=5, dice={"21": 0.75, "22": None}, mean=0.75, best=0.75, best_step=5, seconds=2
    ),
    PreviewEvent(step=5, path="previews/000005_21.jpg"),
    CheckpointEvent(step=5, seconds=0.1),
    WarningEvent(step=5, words="two\nlines"),
    ResumedEvent(step=5),
    PausedEvent(step=6),
    FinishedEvent(step=40, words="done"),
    StoppedEvent(step=7, words="on request"),
    FailedEvent(step=8, reason="DeviceError", words="lower the batch"),
]


def test_examples_cover_every_kind_of_event():
    assert {type(event) for event in ONE_OF_EACH} == set(Event.__subclasses__())


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.kind)
def test_event_is_read_back_from_one_line_of_json(event: Event):
    line = event.model_dump_json()
    assert "\n" not in line
    assert next(iter(json.loads(line))) == "kind"
    assert EVENTS.validate_json(line) == event


def test_loss_that_is_not_finite_stays_valid_json():
    event = ONE_OF_EACH[1].model_copy(update={"loss": math.nan, "terms": {"bce": math.inf}})
    line = event.model_dump_json()
    json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = EVENTS.validate_json(line)
    assert isinstance(again, StepEvent)
    assert math.isnan(again.loss)
    assert again.terms == {"bce": math.inf}


def test_names_of_old_encodings_do_not_stop_a_training():
    event = ValidationEvent(step=1, dice={"\udcd6lbild": 0.5}, mean=0.5, best=0.5, best_step=1)
    assert EVENTS.validate_json(event.model_dump_json()) == event
    assert list(event.dice) == ["\\udcd6lbild"]
    assert WarningEvent(words="\udcff").words == "\\udcff"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../other/a.jpg", "previews/../../a", "C:/a", "C:a", "..\\a", ""]
)
def test_previews_lie_inside_the_run(path: str):
    with pytest.raises(ValidationError, match="inside the run folder"):
        PreviewEvent(step=1, path=path)


def test_events_cannot_be_changed():
    with pytest.raises(ValidationError):
        ONE_OF_EACH[0].step = 3


def test_unknown_fields_of_newer_events_are_ignored():
    line = json.dumps(json.loads(PausedEvent(step=6).model_dump_json()) | {"why": "?"})
    assert EVENTS.validate_json(line).step == 6


def test_only_step_events_are_not_synced():
    assert [event.kind for event in ONE_OF_EACH if not event.durable] == ["step"]
