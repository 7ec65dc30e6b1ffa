"""The job of an evaluation: predict an image for each prompt regime, and score the predictions."""

import hashlib
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sam2lora.compute.jobs import Job, JobWork
from sam2lora.datasets import Record
from sam2lora.errors import DeviceError, GeometryError, Sam2LoraError
from sam2lora.evaluation.cases import Case, PreparedCase, read_prepared
from sam2lora.evaluation.interactive import Start, correct_case
from sam2lora.evaluation.scoring import ImageResult, empty_result, score_probabilities
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.prompts.sampling import REGIMES, Regime, sample_prompts
from sam2lora.prompts.user_prompts import PointPrompt, Prompts
from sam2lora.types import Mask
from sam2lora.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from sam2lora.inference.predictor import Predictor
    from sam2lora.inference.predictor_source import PredictorSource
    from sam2lora.inference.segment import SegmentationTask

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class EvaluateJob(Job[Record | Case, tuple[ImageResult, ...]]):
    """Evaluates images: a result for each prompt regime.

    Attributes
    ----------
    predictor
        The network, or what it is loaded from.
    settings
        The regimes, the protocol and the seed.
    task
        What is segmented, without prompts.
    total
        Number of images, for the progress.
    progress
        Called between windows, in this process.
    """

    large_results: ClassVar[bool] = True
    after_loss: ClassVar[str] = (
        "A report is written only when it is complete: the same command starts over."
    )

    predictor: "Predictor | PredictorSource"
    settings: EvaluateSettings
    task: "SegmentationTask"
    total: int
    progress: Progress = no_progress

    def open(self) -> JobWork[Record | Case, tuple[ImageResult, ...]]:
        """Load the network, if it is not."""
        from sam2lora.inference.predictor_source import load_from

        predictor = load_from(self.predictor)

        def work(records: Iterable[Record | Case]) -> Iterator[tuple[ImageResult, ...]]:
            for number, record in enumerate(records):
                yield tuple(_evaluate_image(predictor, self, number, record))

        return work

    def failure(self, item: Record | Case, reason: str) -> tuple[ImageResult, ...]:
        """Return the results of an image whose workers died."""
        return self._failed(item, f"{_name(item)}: {reason}")

    def sent(self, device: str) -> Self:
        """Return the job without the network."""
        from sam2lora.inference.predictor_source import PredictorSource, load_from

        source = PredictorSource.of(load_from(self.predictor), [self.task], device=device)
        return replace(self, predictor=source, progress=no_progress)

    def _failed(self, item: Record | Case, problem: str) -> tuple[ImageResult, ...]:
        empty = empty_result(item)
        return tuple(
            replace(empty, regime=regime, status="failed", problem=problem)
            for regime in self.settings.regimes
        )


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


def _evaluate_image(
    predictor: "Predictor", job: EvaluateJob, number: int, record: Record | Case
) -> Iterator[ImageResult]:
    settings = job.settings
    regimes = [REGIMES[name] for name in settings.regimes]
    empty = empty_result(record)
    try:
        case, prepared = read_prepared(record, settings.target, settings.conventions)
    except Sam2LoraError as error:
        logger.debug("%s cannot be read", empty.image, exc_info=error)
        yield from job._failed(record, str(error))
        return
    width = 1 / len(regimes)
    for index, regime in enumerate(regimes):
        show = _within(job.progress, number + index * width, width, job.total)
        result = replace(empty, regime=regime.name)
        try:
            prompts = sample_prompts_for(case, prepared, regime, settings.seed)
        except GeometryError as error:
            yield replace(result, status="not drawn", problem=str(error))
            continue
        result = replace(result, prompts=prompts)
        try:
            result = _predict_and_score(predictor, prepared, job.task, settings, result, show)
        except Sam2LoraError as error:
            logger.debug("%s cannot be segmented", empty.image, exc_info=error)
            result = replace(result, status="failed", problem=str(error))
        yield result


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


def _name(item: Record | Case) -> str:
    return str(item.image) if isinstance(item, Record) else item.name


def _within(progress: Progress, start: float, width: float, images: int) -> Progress:
    """Return a callback for windows done that reports the progress in images."""

    def show(done: float, total: int) -> None:
        progress(start + width * done / max(total, 1), images)

    return show
