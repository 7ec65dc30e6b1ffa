"""What was said about a target of an image, to go back to and forward again."""

from dataclasses import dataclass, field

from sam2lora.prompts.user_prompts import Prompts
from sam2lora.types import Mask


@dataclass
class PromptHistory:
    """What was said about one target of one image, step by step, and which step counts."""

    steps: list[Prompts] = field(default_factory=lambda: [Prompts()])
    now: int = 0

    def add(self, prompts: Prompts) -> None:
        """Go on from the present step, forgetting those that were taken back."""
        self.steps[self.now + 1 :] = [prompts]
        self.now += 1

    def keep_inside(self, field: Mask) -> None:
        """Leave out of all steps what lies outside, and steps that change nothing any more."""
        kept: list[Prompts] = []
        for number, step in enumerate(self.steps):
            inside = step.inside(field)
            if not (kept and same_prompts(inside, kept[-1])):
                kept.append(inside)
            if number <= self.now:
                now = len(kept) - 1
        self.steps, self.now = kept, now


def same_prompts(one: Prompts, other: Prompts) -> bool:
    """Tell whether both have the same points and box."""
    return (one.points, one.box) == (other.points, other.box)
