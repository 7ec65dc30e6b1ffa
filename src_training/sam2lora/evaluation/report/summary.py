"""Cells of the matrix: the summary of one model on one dataset under one regime."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sam2lora.evaluation.report.schema import (
    CellEntry,
    ImageEntry,
    SummaryEntry,
    defined,
    number_or_none,
    numbers_or_none,
)
from sam2lora.evaluation.scoring import ImageScore, roc, sweep
from sam2lora.metrics.aggregate import MetricSummary, pooled, summarize

_ROC_STEPS = 5  # decimals of a rate


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """A result without its masks, which are on disk."""

    entry: ImageEntry
    score: ImageScore | None


def make_cells(images: Iterable[ScoredImage]) -> list[CellEntry]:
    """Summarize results by model, dataset and regime, in order of appearance."""
    groups: dict[tuple[str, str, str], list[ScoredImage]] = {}
    for image in images:
        entry = image.entry
        groups.setdefault((entry.model, entry.dataset, entry.regime), []).append(image)
    return [_cell(*key, group) for key, group in groups.items()]


def _cell(model: str, dataset: str, regime: str, group: Sequence[ScoredImage]) -> CellEntry:
    scores = [image.score for image in group if image.score]
    curves = [score.curve for score in scores if score.curve]
    states = [image.entry.status for image in group]
    summaries = summarize([score.scores for score in scores])
    seconds = [image.entry.seconds for image in group if image.score]
    return CellEntry(
        model=model,
        dataset=dataset,
        regime=regime,
        images=len(group),
        failed=states.count("failed"),
        not_drawn=states.count("not drawn"),
        per_image={name: _summary(summary) for name, summary in summaries.items()},
        pooled=defined(pooled(score.counts for score in scores)),
        seconds=float(np.mean(seconds)) if seconds else None,
        sweep=numbers_or_none(sweep(curves)) if curves else (),
        roc=_rounded(*roc(curves)),
    )


def _summary(summary: MetricSummary) -> SummaryEntry:
    return SummaryEntry(
        mean=number_or_none(summary.mean),
        std=number_or_none(summary.std),
        n=summary.n,
        undefined=summary.undefined,
    )


def _rounded(*sides: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    first, second = (tuple(round(rate, _ROC_STEPS) for rate in side) for side in sides)
    return first, second
