"""Evaluation settings, saved in the report."""

from typing import Self

from pydantic import Field, model_validator

from sam2lora.datasets.splits import Expression
from sam2lora.errors import SettingsError
from sam2lora.evaluation.protocols import PROTOCOLS, Protocol
from sam2lora.prompts.sampling import REGIMES
from sam2lora.settings import FieldSizes, ProtocolName, Settings, SplitChoice


class EvaluateSettings(Settings):
    """What an evaluation scores, and how."""

    target: str = Field(description="target to segment")
    protocol: ProtocolName = Field(
        default="literature",
        description="literature: native size, field of view, grader 1, the adapter's threshold; "
        "paper: 1024 × 1024, whole image, 0.5, union of the graders",
    )
    regimes: tuple[str, ...] = Field(
        default=("none",), min_length=1, description="prompt regimes, each scored separately"
    )
    split: SplitChoice = Field(
        default="auto",
        description="official split to score; auto: test if there is one, else all images",
    )
    include: Expression = Field(
        default=None, description="regular expression; only stems it matches are scored"
    )
    exclude: Expression = Field(
        default=None, description="regular expression; stems it matches are excluded"
    )
    grades: tuple[str, ...] = Field(
        default=(), description="grades of the ellipses to score, where the masks are ellipses"
    )
    outer_adapter: str | None = Field(
        default=None,
        description="name or folder of the adapter that finds the target it lies in, as the disc "
        "of the cup; None: the default one",
    )
    seed: int = Field(default=0, ge=0, lt=2**63, description="random seed of the prompts")
    flips: bool = Field(
        default=False, description="average the probabilities of the image and its mirror images"
    )

    field_sizes: FieldSizes = Field(
        default=(),
        description="diameters of the field of view for tiles, over which the probabilities are "
        "averaged; none: that of the adapter",
    )

    interactive: bool = Field(
        default=False, description="simulate corrections by clicks, on predictions without prompts"
    )

    @model_validator(mode="after")
    def _check_regimes(self) -> Self:
        for name in self.regimes:
            if name not in REGIMES:
                raise ValueError(f"unknown prompt regime {name!r}")
        if self.interactive and "none" not in self.regimes:
            raise ValueError("corrections by clicks need the prompt regime none")
        if len(set(self.regimes)) < len(self.regimes):
            raise ValueError("a prompt regime is listed twice")
        return self

    @property
    def conventions(self) -> Protocol:
        """The protocol that `protocol` names."""
        return PROTOCOLS[self.protocol]


def parse_regimes(text: str) -> tuple[str, ...]:
    """Parse prompt regimes as given on the command line: names separated by commas, or `all`.

    Returns
    -------
    Unique names in the order of `REGIMES`.

    Raises
    ------
    SettingsError
        If a name is unknown; the message lists those available.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name != "all" and name not in REGIMES:
            raise SettingsError(
                f"Unknown prompt regime {name!r}. Available: {', '.join(REGIMES)}, all."
            )
    return tuple(name for name in REGIMES if name in names or "all" in names)
