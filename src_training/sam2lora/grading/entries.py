"""What people do in a session, one frozen model a kind; a line of `log.jsonl` is one entry.

Nothing is ever changed in a log: taking a state back is one more entry. `grades` says what the
entries of an image come to.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from sam2lora.errors import SessionError
from sam2lora.utils.files import read_error
from sam2lora.utils.line_log import append_line, complete_lines

GradingState = Literal["to do", "started", "done", "flagged", "skipped"]
Quality = Literal["gradable", "partly", "no"]

_ADVICE = "Then do the same again; what was saved before is kept."


class JournalEntry(BaseModel):
    """Base class of all entries; unknown fields are ignored, so that older versions can read them.

    Times are in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    durable: ClassVar[bool] = True
    """Whether the line is synced to disk immediately, so that it outlives a loss of power."""

    image: str = Field(min_length=1, description="stem of the image")
    time: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))


class StateEntry(JournalEntry):
    """How far a grader is with an image."""

    kind: Literal["state"] = "state"
    state: GradingState
    reason: str = Field(default="", description="why the image is flagged or skipped")

    @model_validator(mode="after")
    def _check_reason(self) -> Self:
        if self.state == "flagged" and not self.reason.strip():
            raise ValueError("a flagged image needs a reason")
        return self


class CommentEntry(JournalEntry):
    """A comment, in place of the one before."""

    kind: Literal["comment"] = "comment"
    text: str


class QualityEntry(JournalEntry):
    """How well an image can be graded; None takes the earlier judgement back."""

    kind: Literal["quality"] = "quality"
    quality: Quality | None


class WorkEntry(JournalEntry):
    """An interval of work on an image; only the last of these may be lost with the power."""

    durable = False
    kind: Literal["work"] = "work"
    start: AwareDatetime
    end: AwareDatetime

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.end < self.start:
            raise ValueError("an interval cannot end before it starts")
        return self

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end - self.start).total_seconds()


class PredictionEntry(JournalEntry):
    """A mask was predicted for the grader; what the grader made of it is in the mask."""

    durable = False
    kind: Literal["prediction"] = "prediction"
    target: str
    model: str = Field(description="name of the base model")
    adapter: str = Field(default="", description="name of the adapter; empty without one")
    adapter_sha256: str = Field(default="", description="digest of its tensors")
    confidence: float | None = Field(default=None, ge=0, le=1, description="where it is known")


class SeenMask(BaseModel):
    """A grader's mask as an adjudicator saw it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    since: AwareDatetime | None = Field(description="when the grader's state was written")
    sha256: str = Field(description="of the mask's file; empty if the grader has none")


class ChoiceEntry(JournalEntry):
    """What an adjudicator takes for the consensus of one target; None takes it back."""

    kind: Literal["choice"] = "choice"
    target: str
    seen: dict[str, SeenMask] = Field(default={}, description="by grader, what was decided on")
    choice: str | None = Field(description="a grader's name, majority, staple or painted")


AnyEntry = StateEntry | CommentEntry | QualityEntry | WorkEntry | PredictionEntry | ChoiceEntry
ENTRIES: TypeAdapter[AnyEntry] = TypeAdapter(Annotated[AnyEntry, Field(discriminator="kind")])


class _About(BaseModel):
    """What can be read of a line of another version."""

    model_config = ConfigDict(extra="ignore")

    image: str


@dataclass(frozen=True)
class UnreadableLine:
    """A line of a log that this version cannot read.

    Attributes
    ----------
    image
        Stem of the image that it is about; empty if that cannot be read either.
    """

    image: str


def append_entry(path: Path, entry: AnyEntry) -> None:
    """Append one entry to a log, after removing an incomplete last line of a killed writer.

    Only who holds the lock of the log's folder may write.

    Raises
    ------
    OutputError
        If it cannot be written; the log then ends with the entry before.
    """
    append_line(path, entry.model_dump_json().encode(), durable=entry.durable, advice=_ADVICE)


def read_entries(path: Path) -> list[AnyEntry | UnreadableLine]:
    """Read a log; an incomplete last line counts for nothing.

    Returns
    -------
    The entries, and between them the lines that this version cannot read; nothing if there is no
    log yet.

    Raises
    ------
    SessionError
        If the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SessionError(str(read_error(path, error))) from error
    return [_parse(line) for line in complete_lines(content)]


def says_anything(path: Path) -> bool:
    """Check whether a log has a line besides intervals of work, which say nothing of an image.

    Raises
    ------
    SessionError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            lines = (line for line in stream if line.endswith(b"\n"))
            return any(not isinstance(_parse(line), WorkEntry) for line in lines)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise SessionError(str(read_error(path, error))) from error


def _parse(line: bytes) -> AnyEntry | UnreadableLine:
    try:
        return ENTRIES.validate_json(line)
    except ValidationError:
        try:
            return UnreadableLine(_About.model_validate_json(line).image)
        except ValidationError:
            return UnreadableLine("")
