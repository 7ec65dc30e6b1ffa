"""What happens in a training, one frozen model a kind; a line of `events.jsonl` is one of them."""

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
    """Escape what UTF-8 cannot hold: names of files in old encodings."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else text


def _is_inside(path: str) -> str:
    parts = PureWindowsPath(path)  # knows the separators of both kinds of systems
    if parts.anchor or ".." in parts.parts or not parts.parts:
        raise ValueError("has to be a path inside the run folder")
    return path


_Text = Annotated[str, BeforeValidator(_as_utf8)]


class Event(BaseModel):
    """Base of all events.

    Unlike settings, they ignore what they do not know, so that an older version can follow the run
    of a newer one. NaN and infinity become strings, since JSON has no such numbers.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="strings")

    durable: ClassVar[bool] = True
    """Whether the line is synced to disk at once."""

    kind: str = Field(description="which of the events it is")
    step: int = Field(default=0, ge=0, description="optimizer steps done")
    time: AwareDatetime = Field(default_factory=_now, description="when it happened")


class StartedEvent(Event):
    """A new training begins; a resumed one has `ResumedEvent` instead."""

    kind: Literal["started"] = "started"
    target: _Text = Field(description="what is learned")
    base: _Text = Field(description="name of the base model")
    steps: int = Field(ge=0, description="optimizer steps of the whole training")
    samples: dict[_Text, int] = Field(default={}, description="images to learn from, by data set")
    validation: int = Field(default=0, ge=0, description="images to judge it by")
    trainable: int = Field(default=0, ge=0, description="weights that are trained")
    share: float = Field(default=0.0, ge=0, description="the same in percent of the network's")
    processes: int = Field(default=1, ge=1, description="that share the work")


class StepEvent(Event):
    """One optimizer step; the only event of which a crash of the computer may take the last."""

    durable = False
    kind: Literal["step"] = "step"
    loss: float = Field(description="the weighted sum of the terms")
    terms: dict[_Text, float] = Field(description="each term before weighting, by name")
    lr: float = Field(description="learning rate")
    seconds: float = Field(description="that the step took")
    host_bytes: int = Field(ge=0, description="memory of the process")
    device_bytes: int | None = Field(
        default=None, ge=0, description="most memory held on the device so far; None on a CPU"
    )
    eta_s: float | None = Field(default=None, description="seconds to go, if it can be told yet")


class ValidationEvent(Event):
    """The held-out images were segmented; at step 0, by what the training starts from."""

    kind: Literal["validation"] = "validation"
    dice: dict[_Text, float | None] = Field(
        description="by image; 1 where neither mask nor answer has a pixel"
    )
    mean: float | None = Field(description="mean Dice over the images")
    loss: float | None = Field(
        default=None, description="mean cross-entropy of the images inside the field of view"
    )
    best: float | None = Field(description="the best mean so far, this one included")
    best_step: int | None = Field(description="where the best mean was")
    seconds: float = Field(default=0.0, description="that the validation took")


class PreviewEvent(Event):
    """A picture of a validation image with the current answer."""

    kind: Literal["preview"] = "preview"
    path: Annotated[_Text, AfterValidator(_is_inside)] = Field(
        description="relative to the run folder, with /"
    )


class CheckpointEvent(Event):
    """A checkpoint is on disk."""

    kind: Literal["checkpoint"] = "checkpoint"
    seconds: float = Field(default=0.0, description="that writing it took")


class WarningEvent(Event):
    """Something the user should know, though the training goes on."""

    kind: Literal["warning"] = "warning"
    words: _Text


class ResumedEvent(Event):
    """The training goes on after `step`: earlier events beyond it no longer count."""

    kind: Literal["resumed"] = "resumed"


class PausedEvent(Event):
    """The training waits, as it was asked to; any later event ends the pause."""

    kind: Literal["paused"] = "paused"


class FinishedEvent(Event):
    """The training reached its end, or did not get better any more."""

    kind: Literal["finished"] = "finished"
    words: _Text = ""


class StoppedEvent(Event):
    """The training ended early because it was asked to; it can be resumed."""

    kind: Literal["stopped"] = "stopped"
    words: _Text = ""


class FailedEvent(Event):
    """The training ended by an error."""

    kind: Literal["failed"] = "failed"
    reason: _Text = Field(
        description="class of the error, for programs: DeviceError, ImageError, …"
    )
    words: _Text = Field(description="what was found, where, and what to do")


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
"""Reads any event; raises a ValidationError for what is none."""
