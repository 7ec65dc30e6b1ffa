"""The events of a training, one frozen model per kind; a line of `events.jsonl` is one event."""

from datetime import UTC, datetime
from pathlib import PureWindowsPath
from typing import Annotated, ClassVar, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
)


def _now() -> datetime:
    return datetime.now(UTC)


def _as_utf8(text: object) -> object:
    """Escape characters that UTF-8 cannot encode, as in file names of old encodings."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text


def _is_inside(path: str) -> str:
    parts = PureWindowsPath(path)  # accepts the separators of all systems
    if parts.anchor or ".." in parts.parts or not parts.parts:
        raise ValueError("must be a path inside the run folder")
    return path


_Text = Annotated[str, BeforeValidator(_as_utf8)]


class Event(BaseModel):
    """Base class of all events.

    Unlike settings, events ignore unknown fields, so that an older version can follow the run of a
    newer one. NaN and infinity become strings, since JSON has no such numbers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    durable: ClassVar[bool] = True
    """Whether the line is synced to disk immediately."""

    kind: str = Field(description="kind of event")
    step: int = Field(default=0, ge=0, description="completed optimizer steps")
    time: AwareDatetime = Field(default_factory=_now, description="time of the event")


class StartedEvent(Event):
    """A new training starts; a resumed one has `ResumedEvent` instead."""

    kind: Literal["started"] = "started"
    target: _Text = Field(description="what is segmented")
    base: _Text = Field(description="name of the base model")
    steps: int = Field(ge=0, description="planned optimizer steps")
    samples: dict[_Text, int] = Field(
        default={}, description="number of training images, by dataset"
    )
    validation: int = Field(default=0, ge=0, description="number of validation images")
    trainable: int = Field(default=0, ge=0, description="number of trained weights")
    share: float = Field(
        default=0.0, ge=0, description="trained weights in percent of the network's"
    )
    processes: int = Field(default=1, ge=1, description="number of processes")


class StepEvent(Event):
    """One optimizer step; only the last of these events may be lost in a crash of the computer."""

    durable = False
    kind: Literal["step"] = "step"
    loss: float = Field(description="weighted sum of the terms")
    terms: dict[_Text, float] = Field(description="each term before weighting, by name")
    lr: float = Field(description="learning rate")
    seconds: float = Field(description="duration of the step in seconds")
    host_bytes: int = Field(ge=0, description="memory of the process in bytes")
    device_bytes: int | None = Field(
        default=None, ge=0, description="peak memory on the device in bytes; None on a CPU"
    )
    eta_s: float | None = Field(
        default=None, description="estimated remaining seconds, if known yet"
    )


class ValidationEvent(Event):
    """The validation images were segmented; at step 0, by the initial adapter or base model."""

    kind: Literal["validation"] = "validation"
    dice: dict[_Text, float | None] = Field(
        description="Dice of each image; 1 where both reference and prediction are empty. Of a "
        "point, its closeness"
    )
    mean: float | None = Field(description="mean Dice or closeness over the images")
    loss: float | None = Field(
        default=None, description="mean cross-entropy of the images inside the field of view"
    )
    best: float | None = Field(description="best mean so far, including this one")
    best_step: int | None = Field(description="step of the best mean")
    seconds: float = Field(default=0.0, description="duration of the validation in seconds")


class PreviewEvent(Event):
    """A picture of a validation image with the current prediction."""

    kind: Literal["preview"] = "preview"
    path: Annotated[_Text, AfterValidator(_is_inside)] = Field(
        description="path relative to the run folder, with /"
    )


class CheckpointEvent(Event):
    """A checkpoint was written."""

    kind: Literal["checkpoint"] = "checkpoint"
    seconds: float = Field(default=0.0, description="duration of writing it in seconds")


class WarningEvent(Event):
    """Something the user should know; the training continues."""

    kind: Literal["warning"] = "warning"
    words: _Text


class ResumedEvent(Event):
    """The training resumes after `step`: earlier events beyond it no longer count."""

    kind: Literal["resumed"] = "resumed"


class PausedEvent(Event):
    """The training was paused on request; any later event ends the pause."""

    kind: Literal["paused"] = "paused"


class FinishedEvent(Event):
    """The training reached its last step, or did not improve any more."""

    kind: Literal["finished"] = "finished"
    words: _Text = ""


class StoppedEvent(Event):
    """The training was stopped on request; it can be resumed."""

    kind: Literal["stopped"] = "stopped"
    words: _Text = ""


class FailedEvent(Event):
    """The training ended with an error."""

    kind: Literal["failed"] = "failed"
    reason: _Text = Field(
        description="class of the error, for programs: DeviceError, ImageError, …"
    )
    words: _Text = Field(description="message: what was found, where, and what to do")


_AnyEvent = Annotated[
    StartedEvent
    | StepEvent
    | ValidationEvent
    | PreviewEvent
    | CheckpointEvent
    | WarningEvent
    | ResumedEvent
    | PausedEvent
    | FinishedEvent
    | StoppedEvent
    | FailedEvent,
    Field(discriminator="kind"),
]

EVENTS: TypeAdapter[Event] = TypeAdapter(_AnyEvent)
"""Parses any event; raises a ValidationError for anything else."""
