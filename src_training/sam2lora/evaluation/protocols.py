"""Evaluation protocols: which reference is used and where it counts, so scores are comparable."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sam2lora.settings import ProtocolName
from sam2lora.targets import Target

Grader = Literal[1, 2, "union"]


@dataclass(frozen=True)
class Protocol:
    """The conventions of an evaluation.

    Attributes
    ----------
    name
        Key in `PROTOCOLS`.
    about
        Description of the conventions, for reports.
    size
        Side in pixels of the square that image and reference are resampled to without keeping the
        aspect ratio; None: native size.
    grader
        Grader whose masks are the reference.
    threshold
        Threshold of the probabilities; None: that of the adapter, fixed when it was trained.
    """

    name: ProtocolName
    about: str
    size: int | None
    grader: Grader
    threshold: float | None

    @property
    def uses_field_of_view(self) -> bool:
        """Whether the field of view is used; otherwise the whole image is treated as such."""
        return self.size is None

    def scores_field_only(self, target: Target) -> bool:
        """Check whether only pixels inside the field of view are scored.

        This is the case for fine structures such as vessels, for which the literature excludes the
        black border; compact structures are scored in the whole image.
        """
        return self.uses_field_of_view and target.detail == "tiles"


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
                about="as SAM2LoRA was published: image and reference stretched to 1024 × 1024, "
                "whole image, union of the graders, threshold 0.5",
                size=1024,
                grader="union",
                threshold=0.5,
            ),
        )
    }
)
"""The protocols by name; the first is the default."""
