"""Comparison of two evaluations image by image: B minus A, with confidence intervals."""

import math
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from sam2lora.errors import ReportError
from sam2lora.evaluation.report.gallery import read_report_mask
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
    """One of the two evaluations that are compared."""

    report: str = Field(description="folder of the report")
    model: str = Field(description="name of the model")
    flips: bool = Field(description="whether predictions on mirror images were averaged")


class DifferenceEntry(Settings):
    """One metric on one dataset under one regime: B minus A, over the images of both."""

    dataset: str
    regime: str
    metric: str
    n: int = Field(description="images with a value on both sides")
    patients: int = Field(description="patients of these images")
    undefined: int = Field(description="images without a value on at least one side")
    a: float | None = Field(description="mean of A over these images")
    b: float | None = Field(description="mean of B over these images")
    difference: float | None = Field(description="mean of B minus A")
    low: float | None = Field(description="lower end of its 95 % interval; None below 2 patients")
    high: float | None = Field(description="upper end of the interval")
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
    """The comparison of two evaluations."""

    format: Literal[1] = 1
    command: str
    target: str
    protocol: str
    seed: int = Field(description="random seed of the intervals")
    a: SideEntry
    b: SideEntry
    unpaired: tuple[str, ...] = Field(description="images that only one side has, counted")
    differences: tuple[DifferenceEntry, ...]
    pairs: tuple[PairEntry, ...]


Pairs = dict[tuple[str, str, str], tuple[ImageEntry, ImageEntry]]


class Side:
    """One of two reports, and the model of it to compare.

    Parameters
    ----------
    folder
        Folder of the report.
    model
        Name of the model; None if the report has only one.

    Raises
    ------
    ReportError
        If the report or the model does not exist, or there are several models and none is named.
    """

    def __init__(self, folder: Path, model: str | None = None) -> None:
        self.folder = folder
        self.report: Report = read_report(folder)
        names = [entry.name for entry in self.report.models]
        listed = ", ".join(repr(name) for name in names)
        if model is None and len(names) > 1:
            raise ReportError(
                f"{folder}: has several models: {listed}. Choose one by --adapter, once for both "
                "reports or once for each."
            )
        if model is not None and model not in names:
            raise ReportError(f"{folder}: has no model {model!r}. Available: {listed}.")
        self.model = model or names[0]

    @property
    def scored(self) -> dict[tuple[str, str, str], ImageEntry]:
        """The scored images of the model, by dataset, regime and name."""
        return {
            (entry.dataset, entry.regime, entry.image): entry
            for entry in self.report.images
            if entry.model == self.model and entry.status == "scored"
        }

    def describe(self) -> SideEntry:
        """Return the description of this side for a comparison."""
        flips = self.report.settings.flips
        return SideEntry(report=str(self.folder), model=self.model, flips=flips)


def make_comparison(
    a: Side, b: Side, *, command: str, seed: int = 0
) -> tuple[ReportComparison, Pairs]:
    """Compare two evaluations of the same images by the same protocol.

    Parameters
    ----------
    a, b
        Sides to compare; differences are B minus A.
    command
        Command that repeats the comparison, for the reader.
    seed
        Random seed of the intervals.

    Returns
    -------
    The comparison, and the pairs of image entries by dataset, regime and name.

    Raises
    ------
    ReportError
        If target, protocol, reference or prompts differ, or there is no image in common.
    """
    for what in ("target", "protocol"):
        first, second = (getattr(side.report.settings, what) for side in (a, b))
        if first != second:
            raise ReportError(
                f"{a.folder} has the {what} {first!r} and {b.folder} {second!r}, so they cannot be "
                f"compared. Evaluate both with the same {what}."
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
    references = {
        (entry.dataset, entry.image): (a.folder / entry.truth, b.folder / other.truth)
        for entry, other in pairs.values()
    }
    for (dataset, image), (file, other_file) in references.items():
        if not np.array_equal(read_report_mask(file), read_report_mask(other_file)):
            raise ReportError(
                f"{dataset} {image}: the two reports have different reference masks, or score "
                "different parts of the image. Evaluate both again on the same files."
            )
    for entry, other in pairs.values():
        if entry.prompts != other.prompts:
            raise ReportError(
                f"{entry.dataset} {entry.image}: the two reports used different prompts "
                f"({entry.regime}). Evaluate both with the same --seed."
            )
    return pairs


def _unpaired(a: Side, b: Side) -> Iterator[str]:
    """Count the images that only one side has, by dataset and regime."""
    for letter, side, other in (("A", a, b), ("B", b, a)):
        alone = Counter(key[:2] for key in side.scored.keys() - other.scored.keys())
        for (dataset, regime), count in sorted(alone.items()):
            yield f"{letter} alone: {dataset}, {regime}, {count} images"


def _differences(
    pairs: Pairs, cells: Sequence[tuple[str, str]], seed: int
) -> Iterator[DifferenceEntry]:
    for dataset, regime in cells:
        cell = [pair for key, pair in pairs.items() if key[:2] == (dataset, regime)]
        for metric in METRICS:
            defined = [
                (entry, x, y)
                for entry, other in cell
                if (x := entry.scores.get(metric)) is not None
                and (y := other.scores.get(metric)) is not None
            ]
            change = [y - x for _, x, y in defined]
            patients = [entry.patient or entry.image for entry, *_ in defined]
            low, high = bootstrap_interval(change, patients, seed=seed)
            sign = -1 if metric in ("hd95", "assd") else 1
            yield DifferenceEntry(
                dataset=dataset,
                regime=regime,
                metric=metric,
                n=len(defined),
                patients=len(set(patients)),
                undefined=len(cell) - len(defined),
                a=_mean([x for _, x, _ in defined]),
                b=_mean([y for *_, y in defined]),
                difference=_mean(change),
                low=number_or_none(low),
                high=number_or_none(high),
                better=sum(sign * value > 0 for value in change),
            )


def _pair_entries(pairs: Pairs) -> Iterator[PairEntry]:
    for entry, other in pairs.values():
        x, y = entry.scores.get("dice"), other.scores.get("dice")
        yield PairEntry(
            dataset=entry.dataset,
            image=entry.image,
            patient=entry.patient,
            regime=entry.regime,
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
    """Return the 95 % percentile interval of a mean, by resampling whole patients.

    Both eyes of a patient are alike, so they are drawn together: resampling images would make the
    interval too narrow (Efron, Tibshirani: An Introduction to the Bootstrap, 1993, chapters 8, 13).

    Parameters
    ----------
    values
        Value of each image; none is NaN.
    patients
        Patient of each image.
    seed
        Random seed.

    Returns
    -------
    Lower and upper end; NaN with fewer than two patients, whose spread is unknown.
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
