"""What happened in a training so far, as curves and figures."""

from collections.abc import Iterable

from sam2lora.runs import (
    CheckpointEvent,
    Event,
    PreviewEvent,
    ResumedEvent,
    StartedEvent,
    StepEvent,
    ValidationEvent,
    WarningEvent,
    drop_superseded,
)

ValidationCurve = tuple[list[int], list[float]]
"""Steps, and a value for each."""


class RunHistory:
    """The events of one run that count.

    Curves grow with the events, so that a long run costs no more to show than a short one.

    Parameters
    ----------
    events
        Those so far.

    Attributes
    ----------
    events
        In their order.
    started
        How it began.
    step
        The last step.
    checkpoint
        The last state that was kept.
    validations
        All validations whose Dice is defined.
    previews
        The pictures of validation images, the first one first.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events: list[Event] = []
        self._begin()
        self.add(events)

    def add(self, events: Iterable[Event]) -> None:
        """Take further events; what a resumed run does again is dropped."""
        new = list(events)
        self.events += new
        if any(isinstance(event, ResumedEvent) for event in new):
            self.events = new = drop_superseded(self.events)
            self._begin()
        for event in new:
            self._take(event)

    @property
    def start_dice(self) -> float | None:
        """Validation Dice of what it started from, where it started from something."""
        first = next(iter(self.validations), None)
        return first.mean if first is not None and first.step == 0 else None

    @property
    def warnings(self) -> list[str]:
        """What the user should know."""
        return list(self._warnings)

    def losses(self) -> dict[str, ValidationCurve]:
        """Give the loss and each of its terms by name."""
        return self._losses

    def dice(self) -> ValidationCurve:
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

    def _begin(self) -> None:
        self.started: StartedEvent | None = None
        self.step: StepEvent | None = None
        self.checkpoint: CheckpointEvent | None = None
        self.validations: list[ValidationEvent] = []
        self.previews: list[PreviewEvent] = []
        self._warnings: dict[str, None] = {}
        self._losses: dict[str, ValidationCurve] = {}

    def _take(self, event: Event) -> None:
        match event:
            case StepEvent():
                self.step = event
                for name, value in {"loss": event.loss, **event.terms}.items():
                    places, values = self._losses.setdefault(name, ([], []))
                    places.append(event.step)
                    values.append(value)
            case ValidationEvent() if event.mean is not None:
                self.validations.append(event)
            case PreviewEvent():
                self.previews.append(event)
            case CheckpointEvent():
                self.checkpoint = event
            case StartedEvent():
                self.started = self.started or event
            case WarningEvent():
                self._warnings[event.words] = None
