"""Undo history of the prompts for one target of an image."""

from dataclasses import dataclass, field

from sam2lora.prompts.user_prompts import Prompts
from sam2lora.types import Mask


@dataclass
class PromptHistory:
    """The prompts for one target of one image, step by step.

    Attributes
    ----------
    steps
        At least one; the first is empty.
    current
        Index of the step that is shown.
    """

    steps: list[Prompts] = field(default_factory=lambda: [Prompts()])
    current: int = 0

    def add(self, prompts: Prompts) -> None:
        """Add a step after the current one, discarding the steps that were undone."""
        self.steps[self.current + 1 :] = [prompts]
        self.current += 1

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
