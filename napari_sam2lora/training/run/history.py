"""The events of a training so far, as curves and figures."""

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
from sam2lora.targets import point_targets

ValidationCurve = tuple[list[int], list[float]]
"""Steps, and a value for each."""


class RunHistory:
    """The events of one run, without those that a resumed run repeated.

    Curves are extended with new events, so that updating a long run is as fast as a short one.

    Parameters
    ----------
    events
        The events so far.

    Attributes
    ----------
    events
        All events in their order.
    started
        The event of the start; None before it.
    step
        The event of the last step; None before the first.
    checkpoint
        The event of the last checkpoint; None before the first.
    validations
        The events of all validations whose Dice is defined.
    previews
        The events of all previews of validation images, oldest first.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.events: list[Event] = []
        self._reset()
        self.add(events)

    def add(self, events: Iterable[Event]) -> None:
        """Add events; those that a resumed run repeats replace the earlier ones."""
        new = list(events)
        self.events += new
        if any(isinstance(event, ResumedEvent) for event in new):
            self.events = new = drop_superseded(self.events)
            self._reset()
        for event in new:
            self._add(event)

    @property
    def start_dice(self) -> float | None:
        """Validation Dice of the initial adapter; None without one."""
        first = next(iter(self.validations), None)
        return first.mean if first is not None and first.step == 0 else None

    @property
    def measure(self) -> str:
        """Name of what the validation measures: closeness if the target is a point, else Dice."""
        points = point_targets()
        target = self.started.target if self.started else ""
        return points[target].measure if target in points else "Dice"

    @property
    def warnings(self) -> list[str]:
        """The different warnings of the run, in order."""
        return list(self._warnings)

    def losses(self) -> dict[str, ValidationCurve]:
        """Return the curves of the loss and of each of its terms, by name."""
        return self._losses

    def dice(self) -> ValidationCurve:
        """Return the curve of the validation Dice."""
        validations = self.validations
        return [event.step for event in validations], [event.mean or 0 for event in validations]

    def seconds_left(self, validate_every: int | None = None) -> float | None:
        """Return the seconds left, validations included; None if they are not known yet.

        Parameters
        ----------
        validate_every
            Steps between validations; None leaves out the time that they take.
        """
        last, started = self.step, self.started
        if last is None or started is None or last.eta_s is None:
            return None
        times = [event.seconds for event in self.validations]
        if not validate_every or not times:
            return last.eta_s
        pending = started.steps // validate_every - last.step // validate_every
        return last.eta_s + pending * sum(times) / len(times)

    def _reset(self) -> None:
        self.started: StartedEvent | None = None
        self.step: StepEvent | None = None
        self.checkpoint: CheckpointEvent | None = None
        self.validations: list[ValidationEvent] = []
        self.previews: list[PreviewEvent] = []
        self._warnings: dict[str, None] = {}
        self._losses: dict[str, ValidationCurve] = {}

    def _add(self, event: Event) -> None:
        match event:
            case StepEvent():
                self.step = event
                for name, value in {"loss": event.loss, **event.terms}.items():
                    steps, values = self._losses.setdefault(name, ([], []))
                    steps.append(event.step)
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
