"""Candidates of an evaluation: an adapter, the base model without adapter, or a second grader."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sam2lora.adapters import Adapter
from sam2lora.datasets import Record
from sam2lora.evaluation.loop import evaluate, evaluate_grader
from sam2lora.evaluation.report.schema import ModelEntry
from sam2lora.evaluation.scoring import ImageResult
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.settings import GeometrySettings
from sam2lora.targets import get_target
from sam2lora.utils.progress import Progress

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster
    from sam2lora.inference.predictor import Predictor

Scorer = Callable[[Sequence[Record], Progress], Iterator[ImageResult]]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A model or grader to evaluate.

    Attributes
    ----------
    entry
        Description of the candidate in the report.
    score
        Function that scores the candidate on the records of one dataset, as `evaluate` does.
    """

    entry: ModelEntry
    score: Scorer


def network_candidate(
    predictor: "Predictor",
    settings: EvaluateSettings,
    adapter: Adapter | None = None,
    *,
    cluster: "Cluster | None" = None,
) -> Candidate:
    """Create a candidate from an adapter, or from the base model without adapter.

    Parameters
    ----------
    predictor, settings, adapter, cluster
        As for `evaluate`.

    Raises
    ------
    AdapterError
        If the files of the adapter can no longer be read.
    TargetError
        If the target is unknown.
    """
    base, target = predictor.base, get_target(settings.target)
    fixed = settings.conventions.threshold
    threshold = adapter.card.threshold if adapter else target.threshold
    entry = ModelEntry(
        name=adapter.name if adapter else f"{base.spec.name} without adapter",
        kind="adapter" if adapter else "base",
        base=base.spec.name,
        base_file=str(base.path) if base.path and base.path != base.spec.path else None,
        base_identity=base.weights_sha256,
        base_learned_from=dict(base.learned_from),
        note=base.note,
        geometry=adapter.card.geometry if adapter else GeometrySettings.for_target(target),
        threshold=threshold if fixed is None else fixed,
        adapter=adapter.card if adapter else None,
        adapter_sha256=adapter.digest() if adapter else None,
    )

    def score(records: Sequence[Record], progress: Progress) -> Iterator[ImageResult]:
        return evaluate(
            predictor, records, settings, adapter=adapter, progress=progress, cluster=cluster
        )

    return Candidate(entry, score)


def grader_candidate(settings: EvaluateSettings, *, grader: int = 2) -> Candidate:
    """Create a candidate from another grader's masks, which are compared with grader 1's."""
    entry = ModelEntry(
        name=f"grader {grader}",
        kind="grader",
        note=f"Grader {grader} is compared with grader 1. A mask has no ROC curve, so no AUC.",
    )

    def score(records: Sequence[Record], progress: Progress) -> Iterator[ImageResult]:
        return evaluate_grader(records, settings, grader=grader, progress=progress)

    return Candidate(entry, score)
