"""What happened in a training so far, as curves and figures."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from sam2lora.runs import (
    Event,
    PreviewEvent,
    ResumedEvent,
    StartedEvent,
    StepEvent,
    ValidationEvent,
    WarningEvent,
    without_lost,
)

Curve = tuple[list[int], list[float]]
"""Steps, and a value for each."""


@dataclass
class History:
    """The events of one run that count.

    Attributes
    ----------
    events
        In their order.
    """

    events: list[Event] = field(default_factory=list)

    def add(self, events: Iterable[Event]) -> None:
        """Take further events; what a resumed run does again is dropped."""
        new = list(events)
        self.events += new
        if any(isinstance(event, ResumedEvent) for event in new):
            self.events = without_lost(self.events)

    @property
    def started(self) -> StartedEvent | None:
        """How it began."""
        return next((one for one in self.events if isinstance(one, StartedEvent)), None)

    @property
    def step(self) -> StepEvent | None:
        """The last step."""
        return next((one for one in reversed(self.events) if isinstance(one, StepEvent)), None)

    @property
    def validations(self) -> list[ValidationEvent]:
        """All validations whose Dice is defined."""
        found = (one for one in self.events if isinstance(one, ValidationEvent))
        return [one for one in found if one.mean is not None]

    @property
    def start_dice(self) -> float | None:
        """Validation Dice of what it started from, where it started from something."""
        first = next(iter(self.validations), None)
        return first.mean if first is not None and first.step == 0 else None

    @property
    def previews(self) -> list[PreviewEvent]:
        """The pictures of validation images, the first one first."""
        return [one for one in self.events if isinstance(one, PreviewEvent)]

    @property
    def warnings(self) -> list[str]:
        """What the user should know."""
        words = [one.words for one in self.events if isinstance(one, WarningEvent)]
        return list(dict.fromkeys(words))

    def losses(self) -> dict[str, Curve]:
        """Give the loss and each of its terms by name."""
        steps = [event for event in self.events if isinstance(event, StepEvent)]
        curves: dict[str, Curve] = {"loss": ([], [])} if steps else {}
        for event in steps:
            for name, value in {"loss": event.loss, **event.terms}.items():
                places, values = curves.setdefault(name, ([], []))
                places.append(event.step)
                values.append(value)
        return curves

    def dice(self) -> Curve:
        """Give the validation Dice over the steps."""
        return [one.step for one in self.validations], [one.mean or 0 for one in self.validations]

    def seconds_left(self, validate_every: int | None = None) -> float | None:
        """Tell how long it will still take, validations included; None if that is not known yet."""
        last, begun = self.step, self.started
        if last is None or begun is None or last.eta_s is None:
            return None
        times = [one.seconds for one in self.validations]
        if not validate_every or not times:
            return last.eta_s
        to_come = begun.steps // validate_every - last.step // validate_every
        return last.eta_s + to_come * sum(times) / len(times)
