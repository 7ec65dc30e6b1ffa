"""Evaluate a model, or a second grader, image by image; one failure does not stop the others."""

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sam2lora.adapters import Adapter, check_base, check_target
from sam2lora.datasets import Record
from sam2lora.errors import DatasetError, DeviceError, GeometryError, Sam2LoraError, SettingsError
from sam2lora.evaluation.cases import Case, PreparedCase, check_records, prepare_case, read_case
from sam2lora.evaluation.interactive import Start, correct_case
from sam2lora.evaluation.scoring import ImageResult, score_binary_mask, score_probabilities
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.prompts.sampling import REGIMES, Regime, sample_prompts
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.targets import get_target
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from sam2lora.inference.predictor import Predictor
    from sam2lora.inference.segment import SegmentationTask

logger = logging.getLogger(__name__)


def evaluate(
    predictor: "Predictor",
    records: Sequence[Record | Case],
    settings: EvaluateSettings,
    *,
    adapter: Adapter | None = None,
    progress: Progress = no_progress,
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
        Called with (images done, total number of images) between windows. An exception that it
        raises cancels the evaluation.

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

    All of these are raised by the call itself, before anything is computed.
    """
    target = get_target(settings.target)
    if adapter is not None:
        check_base(adapter, predictor.base.spec.name, predictor.base.weights_sha256)
        check_target(adapter, target)
    _check(records, settings)
    from sam2lora.inference.pipeline import outer_task  # torch is loaded with the predictor
    from sam2lora.inference.segment import SegmentationTask

    task = SegmentationTask.of(
        target,
        adapter=adapter,
        threshold=settings.conventions.threshold,
        tta=settings.flips,
        field_sizes=settings.field_sizes,
        outer=outer_task(predictor.base, target, named=settings.outer_adapter, tta=settings.flips),
    )
    return _evaluate(predictor, records, settings, task, progress)


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


def sample_prompts_for(case: Case, prepared: PreparedCase, regime: Regime, seed: int) -> Prompts:
    """Sample the prompts of a regime for one image, independent of all other images and models.

    Raises
    ------
    GeometryError
        If the image has no such prompts.
    """
    key = "\0".join([str(seed), case.dataset, case.name, regime.name])
    digest = hashlib.sha256(key.encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:16]))
    return sample_prompts(prepared.reference, regime, rng, valid=prepared.image.field.mask)


def _check(records: Sequence[Record | Case], settings: EvaluateSettings) -> None:
    get_target(settings.target)
    on_disk = (record for record in records if isinstance(record, Record))
    check_records(on_disk, settings.target, graders=[settings.conventions.grader])


def _evaluate(
    predictor: "Predictor",
    records: Sequence[Record | Case],
    settings: EvaluateSettings,
    task: "SegmentationTask",
    progress: Progress,
) -> Iterator[ImageResult]:
    regimes = [REGIMES[name] for name in settings.regimes]
    for number, record in enumerate(records):
        progress(number, len(records))
        empty = _empty_result(record)
        try:
            case, prepared = _read(record, settings)
        except Sam2LoraError as error:
            logger.debug("%s cannot be read", empty.image, exc_info=error)
            for regime in regimes:
                yield replace(empty, regime=regime.name, status="failed", problem=str(error))
            continue
        width = 1 / len(regimes)
        for index, regime in enumerate(regimes):
            show = _within(progress, number + index * width, width, len(records))
            result = replace(empty, regime=regime.name)
            try:
                prompts = sample_prompts_for(case, prepared, regime, settings.seed)
            except GeometryError as error:
                yield replace(result, status="not drawn", problem=str(error))
                continue
            result = replace(result, prompts=prompts)
            try:
                result = _predict_and_score(predictor, prepared, task, settings, result, show)
            except Sam2LoraError as error:
                logger.debug("%s cannot be segmented", empty.image, exc_info=error)
                result = replace(result, status="failed", problem=str(error))
            yield result
    progress(len(records), len(records))


def _predict_and_score(
    predictor: "Predictor",
    case: PreparedCase,
    task: "SegmentationTask",
    settings: EvaluateSettings,
    result: ImageResult,
    show: Progress,
) -> ImageResult:
    """Return `result` with the prediction for its prompts, and the score."""
    from sam2lora.inference.segment import segment_prepared

    # A regime measures the network, to which its points are prompts.
    task = replace(task, prompts=result.prompts, points="prompt")
    started = time.perf_counter()
    prediction = segment_prepared(predictor, case.image, [task], progress=show)[task.target.name]
    if np.isnan(prediction.probabilities).any():
        raise DeviceError(
            f"The network predicted NaN in {predictor.precision}. Use --precision float32."
        )
    mask = prediction.mask
    result = replace(
        result,
        score=score_probabilities(prediction.probabilities, case, task.threshold),
        prediction=mask if case.valid is None else mask & case.valid,
        reference=case.scored_reference,
        predicted_iou=prediction.iou,
        confidence=prediction.confidence,
        seconds=time.perf_counter() - started,
    )
    if not settings.interactive or not result.prompts.empty:
        return result

    def correct(clicks: Sequence[PointPrompt], start: Start) -> Mask:
        clicked = replace(
            task,
            prompts=Prompts(tuple(clicks)),
            points="correct" if start == "automatic" else "start",
        )
        return segment_prepared(predictor, case.image, [clicked])[task.target.name].mask

    name = f"{result.dataset}/{result.image}"
    return replace(result, corrections=correct_case(correct, case, name=name, seed=settings.seed))


def _evaluate_grader(
    records: Sequence[Record], settings: EvaluateSettings, grader: int, progress: Progress
) -> Iterator[ImageResult]:
    for number, record in enumerate(records):
        progress(number, len(records))
        empty = replace(_empty_result(record), regime="none")
        try:
            _, case = _read(record, settings)
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


def _read(record: Record | Case, settings: EvaluateSettings) -> tuple[Case, PreparedCase]:
    protocol = settings.conventions
    case = read_case(record, settings.target, protocol) if isinstance(record, Record) else record
    return case, prepare_case(case, get_target(settings.target), protocol)


def _empty_result(record: Record | Case) -> ImageResult:
    """Return a result that only names the image."""
    name = record.stem if isinstance(record, Record) else record.name
    return ImageResult(record.dataset, name, record.patient, "")


def _within(progress: Progress, start: float, width: float, images: int) -> Progress:
    """Return a callback for windows done that reports the progress in images."""

    def show(done: float, total: int) -> None:
        progress(start + width * done / max(total, 1), images)

    return show
