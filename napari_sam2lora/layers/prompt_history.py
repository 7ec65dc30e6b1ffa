"""Undo history of the prompts for one target of an image, also as JSON has it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from sam2lora.datasets.ellipses import Ellipse
from sam2lora.errors import GeometryError, SessionError
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.types import Mask


@dataclass
class PromptHistory:
    """The prompts for one target of one image, step by step.

    Attributes
    ----------
    steps
        At least one; the first is empty, or what undo must not go behind, as it was accepted.
    current
        Index of the step that is shown.
    """

    steps: list[Prompts] = field(default_factory=lambda: [Prompts()])
    current: int = 0

    def add(self, prompts: Prompts) -> None:
        """Add a step after the current one, discarding the steps that were undone."""
        self.steps[self.current + 1 :] = [prompts]
        self.current += 1

    def end_here(self) -> None:
        """Keep the current step as the first and only one, so that undo goes no further back."""
        self.steps, self.current = [self.steps[self.current]], 0

    def keep_inside(self, field: Mask) -> None:
        """Remove what lies outside a field of view from all steps, and steps that become equal."""
        kept: list[Prompts] = []
        for number, step in enumerate(self.steps):
            inside = step.inside(field)
            if not (kept and same_prompts(inside, kept[-1])):
                kept.append(inside)
            if number <= self.current:
                current = len(kept) - 1
        self.steps, self.current = kept, current


def same_prompts(first: Prompts, second: Prompts) -> bool:
    """Check whether two prompts have the same points, box and outline."""
    return (first.points, first.box, first.outline) == (
        second.points,
        second.box,
        second.outline,
    )


def history_notes(history: PromptHistory) -> dict[str, Any]:
    """Return a history as JSON has it; painted masks, which are no steps of it, are left out."""
    steps = [
        {
            "points": [asdict(point) for point in step.points],
            "box": None if step.box is None else list(step.box),
            "outline": None if step.outline is None else asdict(step.outline),
        }
        for step in history.steps
    ]
    return {"steps": steps, "current": history.current}


def history_of(notes: Mapping[str, Any]) -> PromptHistory:
    """Return a history from what `history_notes` returned.

    Raises
    ------
    SessionError
        If the notes are others.
    """
    try:
        steps = [
            Prompts(
                points=tuple(PointPrompt(**point) for point in step["points"]),
                box=None if step["box"] is None else tuple(step["box"]),
                outline=None if step["outline"] is None else Ellipse(**step["outline"]),
            )
            for step in notes["steps"]
        ]
        current = int(notes["current"])
        if not 0 <= current < len(steps):
            raise ValueError(current)
    except (GeometryError, KeyError, TypeError, ValueError) as error:
        raise SessionError(
            "The prompts that were not saved are damaged, and are not brought back."
        ) from error
    return PromptHistory(steps, current)
