"""Protocols: what an answer is compared with, and where, so that a number can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sam2lora.settings import ProtocolName
from sam2lora.targets import Target

Grader = Literal[1, 2, "union"]


@dataclass(frozen=True)
class Protocol:
    """The conventions of a comparison.

    Attributes
    ----------
    name
        Key in `PROTOCOLS`.
    about
        The conventions in words, for reports.
    size
        Side in pixels of the square that image and truth are resampled to without keeping the
        aspect; None: native size.
    grader
        Whose masks are the truth.
    threshold
        Probability that makes the mask; None: the adapter's own, fixed when it was trained.
    """

    name: ProtocolName
    about: str
    size: int | None
    grader: Grader
    threshold: float | None

    @property
    def knows_field(self) -> bool:
        """Whether the field of view is known; otherwise the whole image is taken for it."""
        return self.size is None

    def judges_only_field(self, target: Target) -> bool:
        """Tell whether only pixels inside the field of view count.

        They do for fine structures, such as vessels, where the literature leaves the black border
        out; for compact ones it counts the whole image.
        """
        return self.knows_field and target.detail == "tiles"


PROTOCOLS: Mapping[str, Protocol] = MappingProxyType(
    {
        protocol.name: protocol
        for protocol in (
            Protocol(
                name="literature",
                about="native size; fine structures such as vessels inside the field of view, "
                "compact ones in the whole image; grader 1; the adapter's own threshold, fixed "
                "before these images were seen",
                size=None,
                grader=1,
                threshold=None,
            ),
            Protocol(
                name="paper",
                about="as SAM2LoRA was published: image and truth squashed to 1024 × 1024, the "
                "whole image, what any grader marked, threshold 0.5",
                size=1024,
                grader="union",
                threshold=0.5,
            ),
        )
    }
)
"""The protocols by name; the first is the default."""
