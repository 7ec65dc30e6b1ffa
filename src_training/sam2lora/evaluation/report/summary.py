"""The cells of the matrix: what one model comes to on one data set under one regime."""

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
    """What is kept of a result: everything but its masks, which are on disk."""

    entry: ImageEntry
    score: ImageScore | None


def make_cells(kept: Iterable[ScoredImage]) -> list[CellEntry]:
    """Group results by model, data set and regime, in the order they came, and sum each up."""
    groups: dict[tuple[str, str, str], list[ScoredImage]] = {}
    for one in kept:
        entry = one.entry
        groups.setdefault((entry.model, entry.dataset, entry.regime), []).append(one)
    return [_cell(*key, group) for key, group in groups.items()]


def _cell(model: str, dataset: str, regime: str, group: Sequence[ScoredImage]) -> CellEntry:
    judgements = [one.score for one in group if one.score]
    curves = [judgement.curve for judgement in judgements if judgement.curve]
    states = [one.entry.status for one in group]
    summaries = summarize([judgement.scores for judgement in judgements])
    seconds = [one.entry.seconds for one in group if one.score]
    return CellEntry(
        model=model,
        dataset=dataset,
        regime=regime,
        images=len(group),
        failed=states.count("failed"),
        not_drawn=states.count("not drawn"),
        per_image={name: _summary(summary) for name, summary in summaries.items()},
        pooled=defined(pooled(judgement.counts for judgement in judgements)),
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
