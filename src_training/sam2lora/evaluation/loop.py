"""Evaluate a model, or a second grader, image by image; one failure does not stop the others."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from sam2lora.adapters import Adapter, check_base, check_target
from sam2lora.compute.jobs import run_job
from sam2lora.datasets import Record
from sam2lora.errors import DatasetError, Sam2LoraError, SettingsError
from sam2lora.evaluation.cases import Case, check_records, read_prepared
from sam2lora.evaluation.network_job import EvaluateJob
from sam2lora.evaluation.scoring import ImageResult, empty_result, score_binary_mask
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.targets import get_target
from sam2lora.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster
    from sam2lora.inference.predictor import Predictor


def evaluate(
    predictor: "Predictor",
    records: Sequence[Record | Case],
    settings: EvaluateSettings,
    *,
    adapter: Adapter | None = None,
    progress: Progress = no_progress,
    cluster: "Cluster | None" = None,
) -> Iterator[ImageResult]:
    """Evaluate an adapter, or the base model without adapter, on images with reference masks.

    Each image is encoded once; every regime is predicted from the same embedding and scored
    separately.

    Parameters
    ----------
    predictor
        Predictor of the base model.
    records
        Records of datasets, or cases, for example from a viewer.
    settings
        Target, protocol, regimes and seed; `split` and filters have been applied by the caller.
    adapter
        Adapter to evaluate, with its geometry and threshold. None: the base model without adapter,
        with those of the target.
    progress
        Called with (images done, total number of images) between windows, or on a cluster between
        images. An exception that it raises cancels the evaluation.
    cluster
        Workers that evaluate, of `open_cluster`; None: this process.

    Yields
    ------
    A result for each image and regime, in that order.

    Raises
    ------
    AdapterError
        If the adapter is for another base or target, or that of the target that this one lies in
        cannot be used.
    DatasetError
        If a record has no mask of the target, or one of another size than its image.
    TargetError
        If the target is unknown.

    All of these are raised by the call itself, before anything is computed. On a cluster, results
    are followed by a `ClusterError` if it is lost.
    """
    target = get_target(settings.target)
    if adapter is not None:
        check_base(adapter, predictor.base.spec.name, predictor.base.weights_sha256)
        check_target(adapter, target)
    _check(records, settings)
    from sam2lora.inference.segment import SegmentationTask
    from sam2lora.inference.tasks import outer_task  # torch is loaded with the predictor

    task = SegmentationTask.of(
        target,
        adapter=adapter,
        threshold=settings.conventions.threshold,
        tta=settings.flips,
        field_sizes=settings.field_sizes,
        outer=outer_task(predictor.base, target, named=settings.outer_adapter, tta=settings.flips),
    )
    job = EvaluateJob(predictor, settings, task, len(records), progress)
    return _run(job, records, progress, cluster)


def evaluate_grader(
    records: Sequence[Record],
    settings: EvaluateSettings,
    *,
    grader: int = 2,
    progress: Progress = no_progress,
) -> Iterator[ImageResult]:
    """Evaluate another grader's masks against those of grader 1, like the predictions of a model.

    Parameters
    ----------
    records
        Records of datasets. Those without a mask by that grader become failed results.
    settings
        Target and protocol; its reference must be grader 1.
    grader
        Number of the grader to evaluate.
    progress
        As for `evaluate`.

    Yields
    ------
    A result for each image, under the regime `none`; without AUC, since a mask has no ROC curve.

    Raises
    ------
    SettingsError
        If the protocol's reference is not grader 1.
    DatasetError
        As for `evaluate`, and if none of the records has a mask by that grader.
    """
    if settings.conventions.grader != 1:
        raise SettingsError(
            "A second grader is compared with grader 1, but the reference of the protocol "
            f"{settings.protocol!r} is the union of the graders. Use the protocol 'literature'."
        )
    _check(records, settings)
    if all(len(record.masks[settings.target]) < grader for record in records):
        raise DatasetError(
            f"{records[0].dataset}: none of the {len(records)} images has a mask of "
            f"{settings.target} by grader {grader}."
        )
    return _evaluate_grader(records, settings, grader, progress)


def _check(records: Sequence[Record | Case], settings: EvaluateSettings) -> None:
    get_target(settings.target)
    on_disk = (record for record in records if isinstance(record, Record))
    check_records(on_disk, settings.target, graders=[settings.conventions.grader])


def _run(
    job: EvaluateJob,
    records: Sequence[Record | Case],
    progress: Progress,
    cluster: "Cluster | None",
) -> Iterator[ImageResult]:
    progress(0, len(records))
    with closing(run_job(job, records, total=len(records), cluster=cluster)) as running:
        for done, results in enumerate(running, 1):
            yield from results
            progress(done, len(records))


def _evaluate_grader(
    records: Sequence[Record], settings: EvaluateSettings, grader: int, progress: Progress
) -> Iterator[ImageResult]:
    for number, record in enumerate(records):
        progress(number, len(records))
        empty = replace(empty_result(record), regime="none")
        try:
            _, case = read_prepared(record, settings.target, settings.conventions)
            mask = record.read_mask(settings.target, grader=grader)
        except Sam2LoraError as error:
            yield replace(empty, status="failed", problem=str(error))
            continue
        started = time.perf_counter()
        yield replace(
            empty,
            score=score_binary_mask(mask, case),
            prediction=mask if case.valid is None else mask & case.valid,
            reference=case.scored_reference,
            seconds=time.perf_counter() - started,
        )
    progress(len(records), len(records))
