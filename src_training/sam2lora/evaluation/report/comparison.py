"""Compare two evaluations image by image: how much better is B than A, and how sure is that."""

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from sam2lora.errors import ReportError
from sam2lora.evaluation.report.gallery import read_own_mask
from sam2lora.evaluation.report.schema import (
    METRICS,
    ImageEntry,
    Report,
    number_or_none,
    read_report,
)
from sam2lora.settings import Settings

COMPARISON = "comparison.json"


class SideEntry(Settings):
    """One of the two that are compared."""

    report: str = Field(description="folder of its report")
    model: str = Field(description="who answered")
    flips: bool = Field(description="whether mirror images were averaged")


class DifferenceEntry(Settings):
    """One metric of one data set under one regime: B minus A, over the images both have."""

    dataset: str
    regime: str
    metric: str
    n: int = Field(description="images with a value on both sides")
    patients: int = Field(description="people these are of")
    undefined: int = Field(description="images without a value on one side at least")
    a: float | None = Field(description="mean of A over these images")
    b: float | None = Field(description="mean of B over these images")
    difference: float | None = Field(description="mean of B minus A")
    low: float | None = Field(description="lower end of its 95 % interval; None below 2 patients")
    high: float | None = Field(description="upper end")
    better: int = Field(description="images in which B is better")


class PairEntry(Settings):
    """The Dice of one image on both sides."""

    dataset: str
    image: str
    patient: str
    regime: str
    a: float | None
    b: float | None
    difference: float | None


class ReportComparison(Settings):
    """Two evaluations, compared image by image."""

    format: Literal[1] = 1
    command: str
    target: str
    protocol: str
    seed: int = Field(description="what the intervals are drawn from")
    a: SideEntry
    b: SideEntry
    unpaired: tuple[str, ...] = Field(description="what one side alone has, and how many images")
    differences: tuple[DifferenceEntry, ...]
    pairs: tuple[PairEntry, ...]


Pairs = dict[tuple[str, str, str], tuple[ImageEntry, ImageEntry]]


class Side:
    """One of two reports, and the model in it that is meant.

    Parameters
    ----------
    folder
        Of the report.
    model
        Its name; None where the report has one only.

    Raises
    ------
    ReportError
        If there is no such report, or no such model in it, or several and none is named.
    """

    def __init__(self, folder: Path, model: str | None = None) -> None:
        self.folder = folder
        self.report: Report = read_report(folder)
        names = [entry.name for entry in self.report.models]
        listed = ", ".join(repr(name) for name in names)
        if model is None and len(names) > 1:
            raise ReportError(
                f"{folder}: judges several: {listed}. Say which with --adapter, once for both "
                "reports or once for each."
            )
        if model is not None and model not in names:
            raise ReportError(f"{folder}: does not judge {model!r}, but {listed}.")
        self.model = model or names[0]

    @property
    def scored(self) -> dict[tuple[str, str, str], ImageEntry]:
        """The images with scores, by data set, regime and name."""
        return {
            (one.dataset, one.regime, one.image): one
            for one in self.report.images
            if one.model == self.model and one.status == "scored"
        }

    def describe(self) -> SideEntry:
        """Describe it for a comparison."""
        flips = self.report.settings.flips
        return SideEntry(report=str(self.folder), model=self.model, flips=flips)


def make_comparison(
    a: Side, b: Side, *, command: str, seed: int = 0
) -> tuple[ReportComparison, Pairs]:
    """Compare two evaluations of the same images by the same protocol.

    Parameters
    ----------
    a, b
        What is compared; differences are B minus A.
    command
        What makes this comparison again, for the reader.
    seed
        What the intervals are drawn from.

    Returns
    -------
    The comparison, and the entries of each image by data set, regime and name.

    Raises
    ------
    ReportError
        If target, protocol, truth or prompts differ, or they have no image in common.
    """
    for what in ("target", "protocol"):
        one, other = (getattr(side.report.settings, what) for side in (a, b))
        if one != other:
            raise ReportError(
                f"{a.folder} has the {what} {one!r} and {b.folder} {other!r}: their differences "
                "would mean nothing."
            )
    pairs = _pairs(a, b)
    cells = list(dict.fromkeys((dataset, regime) for dataset, regime, _ in pairs))
    comparison = ReportComparison(
        command=command,
        target=a.report.settings.target,
        protocol=a.report.settings.protocol,
        seed=seed,
        a=a.describe(),
        b=b.describe(),
        unpaired=tuple(_unpaired(a, b)),
        differences=tuple(_differences(pairs, cells, seed)),
        pairs=tuple(_pair_entries(pairs)),
    )
    return comparison, pairs


def _pairs(a: Side, b: Side) -> Pairs:
    first, second = a.scored, b.scored
    pairs = {key: (first[key], second[key]) for key in first if key in second}
    if not pairs:
        raise ReportError(
            f"{a.folder} and {b.folder} have no scored image and regime in common, so there is "
            "nothing to compare."
        )
    truths = {
        (one.dataset, one.image): (a.folder / one.truth, b.folder / other.truth)
        for one, other in pairs.values()
    }
    for (dataset, image), (file, other_file) in truths.items():
        if not np.array_equal(read_own_mask(file), read_own_mask(other_file)):
            raise ReportError(
                f"{dataset} {image}: the two reports have another truth for it, or judge another "
                "part of the image. Evaluate both again on the same files."
            )
    for one, other in pairs.values():
        if one.prompts != other.prompts:
            raise ReportError(
                f"{one.dataset} {one.image}: the two reports gave it other prompts "
                f"({one.regime}). Evaluate both with the same --seed."
            )
    return pairs


def _unpaired(a: Side, b: Side) -> Iterator[str]:
    """Count the images that one side alone has, by data set and regime."""
    for letter, one, other in (("A", a, b), ("B", b, a)):
        alone = Counter(key[:2] for key in one.scored.keys() - other.scored.keys())
        for (dataset, regime), count in sorted(alone.items()):
            yield f"{letter} alone: {dataset}, {regime}, {count} images"


def _differences(
    pairs: Pairs, cells: Sequence[tuple[str, str]], seed: int
) -> Iterator[DifferenceEntry]:
    for dataset, regime in cells:
        own = [pair for key, pair in pairs.items() if key[:2] == (dataset, regime)]
        for metric in METRICS:
            defined = [
                (one, x, y)
                for one, other in own
                if (x := one.scores.get(metric)) is not None
                and (y := other.scores.get(metric)) is not None
            ]
            change = [y - x for _, x, y in defined]
            patients = [one.patient or one.image for one, *_ in defined]
            low, high = bootstrap_interval(change, patients, seed=seed)
            sign = -1 if metric in ("hd95", "assd") else 1
            yield DifferenceEntry(
                dataset=dataset,
                regime=regime,
                metric=metric,
                n=len(defined),
                patients=len(set(patients)),
                undefined=len(own) - len(defined),
                a=_mean([x for _, x, _ in defined]),
                b=_mean([y for *_, y in defined]),
                difference=_mean(change),
                low=number_or_none(low),
                high=number_or_none(high),
                better=sum(sign * value > 0 for value in change),
            )


def _pair_entries(pairs: Pairs) -> Iterator[PairEntry]:
    for one, other in pairs.values():
        x, y = one.scores.get("dice"), other.scores.get("dice")
        yield PairEntry(
            dataset=one.dataset,
            image=one.image,
            patient=one.patient,
            regime=one.regime,
            a=x,
            b=y,
            difference=None if x is None or y is None else y - x,
        )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


DRAWS = 10_000
LEVEL = 0.95


def bootstrap_interval(
    values: Sequence[float], patients: Sequence[Hashable], *, seed: int = 0
) -> tuple[float, float]:
    """Give the 95 % percentile interval of a mean, by resampling whole patients.

    Both eyes of a person are alike, so they are drawn together: resampling images would make the
    interval too narrow (Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapters 8, 13).

    Parameters
    ----------
    values
        One for each image, all defined.
    patients
        Whose each image is.
    seed
        What the resampling is drawn from.

    Returns
    -------
    Lower and upper end; NaN with fewer than two patients, of whose spread nothing is known.
    """
    groups: dict[Hashable, list[float]] = {}
    for value, patient in zip(values, patients, strict=True):
        groups.setdefault(patient, []).append(value)
    if len(groups) < 2:
        return math.nan, math.nan
    sums = np.array([sum(group) for group in groups.values()])
    counts = np.array([len(group) for group in groups.values()])
    drawn = np.random.default_rng(seed).integers(len(groups), size=(DRAWS, len(groups)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
