"""Published Dice figures to compare a report with, each with its source and conventions."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Source:
    """A source of figures, and the conventions by which they were computed."""

    key: str
    text: str


@dataclass(frozen=True)
class PublishedFigure:
    """A published figure.

    Attributes
    ----------
    who
        Name of the model or grader.
    dice
        Mean Dice as published.
    source
        Source of the figure.
    """

    who: str
    dice: str
    source: Source


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        source.key: source
        for source in (
            Source(
                "P",
                "SAM2LoRA (arXiv 2510.10288, with the results notebook of its repository "
                "github.com/sayanmndl21/SAM2LoRA): 1024 × 1024, whole image, threshold 0.5, union "
                "of the graders where there are two; the mean over seven prompt regimes, of the "
                "best of its ranks. Comparable with the protocol `paper` only, and with no single "
                "regime.",
            ),
            Source(
                "B",
                "bob.ip.binseg, now deepdraw (github.com/bioidiap/bob.ip.binseg, doc/results): no "
                "prompts, inside the field of view, grader 1, threshold fixed beforehand, mean "
                "over the images. Test images: DRIVE 20, STARE 10, CHASE_DB1 20, HRF 30 (at half "
                "size); disc and cup at 512 × 512.",
            ),
            Source(
                "C",
                "as [B], but trained on other datasets than the one it is tested on (for disc and "
                "cup, on one other: REFUGE for DRISHTI-GS and vice versa).",
            ),
            Source(
                "L",
                "the highest that several groups reached by comparable conventions: FR-UNet "
                "(Liu et al. 2022), FSG-Net (arXiv 2501.18921) and PASC-Net for vessels. Without "
                "prompts; details differ between papers.",
            ),
        )
    }
)
"""Sources by the letter shown in tables."""

_WHO = (
    ("SAM2LoRA as published, best rank", "P"),
    ("SAM 2.1 large without adapter", "P"),
    ("second human grader", "B"),
    ("U-Net trained on this set", "B"),
    ("U-Net trained on other sets", "C"),
    ("nnU-Net trained on this set", "L"),
    ("best credible", "L"),
)

_FIGURES: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("DRIVE", "vessel"): ("0.796", "0.121", "0.788", "0.825", "0.775", "", "0.83–0.84"),
        ("CHASE_DB1", "vessel"): ("0.825", "0.130", "0.768", "0.807", "0.779", "", "0.82–0.85"),
        ("STARE", "vessel"): ("0.796", "0.152", "0.759", "0.828", "0.806", "", "0.84–0.85"),
        ("HRF", "vessel"): ("0.624", "0.054", "", "0.811", "0.746", "", "0.81–0.82"),
        ("FIVES", "vessel"): ("0.856", "0.111", "", "", "", "0.894", "0.918"),
        ("DRISHTI-GS", "disc"): ("0.914", "0.705", "", "0.975", "0.943", "", "0.975"),
        ("DRISHTI-GS", "cup"): ("0.776", "0.609", "", "0.913", "0.864", "", "0.915"),
        ("REFUGE", "disc"): ("0.931", "0.587", "", "0.945", "0.923", "", "0.96"),
        ("REFUGE", "cup"): ("0.838", "0.609", "", "0.853", "0.772", "", "0.89"),
    }
)
"""Figures by dataset and target, in the order of `_WHO`; empty if there is none."""


def published_figures(dataset: str, target: str) -> list[PublishedFigure]:
    """Return the published figures for a target on a dataset; empty if none are known."""
    figures = _FIGURES.get((dataset, target), ())
    return [
        PublishedFigure(who, dice, SOURCES[key])
        for (who, key), dice in zip(_WHO, figures, strict=False)
        if dice
    ]
