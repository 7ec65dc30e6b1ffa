"""Settings of an evaluation, saved whole in its report."""

from typing import Self

from pydantic import Field, model_validator

from sam2lora.datasets.splits import Expression
from sam2lora.errors import SettingsError
from sam2lora.evaluation.protocols import PROTOCOLS, Protocol
from sam2lora.prompts.sampling import REGIMES
from sam2lora.settings import ProtocolName, Settings, SplitChoice


class EvaluateSettings(Settings):
    """What is judged, and how."""

    target: str = Field(description="what is segmented")
    protocol: ProtocolName = Field(
        default="literature",
        description="literature: native size, field of view, grader 1, the adapter's threshold; "
        "paper: 1024 × 1024, whole image, 0.5, union of the graders",
    )
    regimes: tuple[str, ...] = Field(
        default=("none",), min_length=1, description="kinds of prompts, each judged on its own"
    )
    split: SplitChoice = Field(
        default="auto",
        description="official side to judge; auto: test where there is one, else all images",
    )
    include: Expression = Field(
        default=None, description="regular expression; only stems it matches are judged"
    )
    exclude: Expression = Field(
        default=None, description="regular expression; stems it matches are left out"
    )
    seed: int = Field(default=0, ge=0, description="what the prompts are drawn from")
    flips: bool = Field(
        default=False, description="average the probabilities of the image and its mirror images"
    )

    @model_validator(mode="after")
    def _check_regimes(self) -> Self:
        for name in self.regimes:
            if name not in REGIMES:
                raise ValueError(f"no prompt regime is called {name!r}")
        if len(set(self.regimes)) < len(self.regimes):
            raise ValueError("a prompt regime is named twice")
        return self

    @property
    def conventions(self) -> Protocol:
        """The protocol by its name."""
        return PROTOCOLS[self.protocol]


def parse_regimes(text: str) -> tuple[str, ...]:
    """Read regimes as the command line takes them: names with commas between, or `all`.

    Returns
    -------
    Names in the order of `REGIMES`, each once.

    Raises
    ------
    SettingsError
        If a name is unknown; the message lists those there are.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name != "all" and name not in REGIMES:
            raise SettingsError(
                f"No prompt regime is called {name!r}. There are: {', '.join(REGIMES)}, all."
            )
    return tuple(name for name in REGIMES if name in names or "all" in names)
