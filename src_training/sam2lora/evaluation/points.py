"""Evaluate a target that is a point, image by image: how far it is from its reference."""

import logging
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from sam2lora.adapters import Adapter, check_base, check_target
from sam2lora.compute.jobs import Job, JobWork, run_job
from sam2lora.datasets import Record
from sam2lora.errors import Sam2LoraError, SettingsError
from sam2lora.evaluation.settings import EvaluateSettings
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.metrics.landmarks import disc_diameter
from sam2lora.targets import get_target
from sam2lora.types import Place
from sam2lora.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster
    from sam2lora.inference.predictor import Predictor
    from sam2lora.inference.predictor_source import PredictorSource
    from sam2lora.inference.segment import SegmentationTask

logger = logging.getLogger(__name__)

DiscSource = Literal["reference", "predicted"]


@dataclass(frozen=True)
class PointResult:
    """Result of one image.

    Attributes
    ----------
    dataset, image, patient
        Names of the dataset and the image, and the patient if known.
    problem
        Reason why the image is not scored; empty if it is.
    reference, found
        Where the point is, and where it was located, (x, y) in native pixels.
    confidence
        Confidence of the prediction, 0…1.
    error
        Distance between both in native pixels.
    disc
        Diameter of the optic disc in native pixels; None if it is unknown.
    disc_source
        Whether that is the reference's or was predicted.
    seconds
        Time without reading the image and without the disc.
    """

    dataset: str
    image: str
    patient: str
    problem: str = ""
    reference: Place | None = None
    found: Place | None = None
    confidence: float | None = None
    error: float | None = None
    disc: float | None = None
    disc_source: DiscSource | None = None
    seconds: float = 0.0

    @property
    def error_in_discs(self) -> float | None:
        """The error in diameters of the optic disc."""
        return None if self.error is None or self.disc is None else self.error / self.disc


def check_point_settings(settings: EvaluateSettings) -> None:
    """Refuse settings that make no sense for a point.

    Raises
    ------
    SettingsError
        If there are prompts, which set a point, or the image is stretched.
    """
    if settings.regimes != ("none",) or settings.interactive:
        raise SettingsError(
            f"{settings.target!r} is a point, and a click sets it: it is evaluated without prompts."
        )
    if settings.conventions.size is not None:
        raise SettingsError(
            f"{settings.target!r} is a point: distances need the protocol 'literature', which does "
            "not stretch the image."
        )


def evaluate_points(
    predictor: "Predictor",
    records: Sequence[Record],
    settings: EvaluateSettings,
    *,
    adapter: Adapter,
    progress: Progress = no_progress,
    cluster: "Cluster | None" = None,
) -> Iterator[PointResult]:
    """Evaluate an adapter that locates a point.

    Parameters
    ----------
    predictor
        Predictor of the base model.
    records
        Records of datasets with the point, and with the optic disc where it is marked; where it is
        not, the disc is predicted.
    settings
        Target; `outer_adapter` is the adapter of the disc.
    adapter
        The adapter to evaluate.
    progress, cluster
        As for `evaluate`.

    Yields
    ------
    A result for each image, in order.

    Raises
    ------
    AdapterError
        If the adapter is for another base or target, or that of the disc cannot be used.
    SettingsError
        If a setting makes no sense for a point.
    """
    from sam2lora.inference.segment import SegmentationTask
    from sam2lora.inference.tasks import adapter_for  # torch is loaded with the predictor

    check_point_settings(settings)
    target, disc = get_target(settings.target), get_target("disc")
    check_base(adapter, predictor.base.spec.name, predictor.base.weights_sha256)
    check_target(adapter, target)
    task = SegmentationTask.of(target, adapter=adapter, tta=settings.flips)
    of_disc = adapter_for(predictor.base, disc, named=settings.outer_adapter, prompted=True)
    disc_task = None if of_disc is None else SegmentationTask.of(disc, adapter=of_disc)
    return _run(PointJob(predictor, task, disc_task), records, progress, cluster)


@dataclass(frozen=True, eq=False)
class PointJob(Job[Record, PointResult]):
    """Evaluates where a point was located in images.

    Attributes
    ----------
    predictor
        The network, or what it is loaded from.
    task
        How the point is located.
    disc_task
        How the disc is predicted; None if it is not.
    """

    after_loss: ClassVar[str] = (
        "A report is written only when it is complete: the same command starts over."
    )

    predictor: "Predictor | PredictorSource"
    task: "SegmentationTask"
    disc_task: "SegmentationTask | None"

    def open(self) -> JobWork[Record, PointResult]:
        """Load the network, if it is not."""
        from sam2lora.inference.predictor_source import load_from

        predictor = load_from(self.predictor)

        def work(records: Iterable[Record]) -> Iterator[PointResult]:
            for record in records:
                try:
                    yield _locate_and_score(predictor, record, self.task, self.disc_task)
                except Sam2LoraError as error:
                    logger.debug("%s cannot be evaluated", record.image, exc_info=error)
                    yield replace(_empty_result(record), problem=str(error))

        return work

    def failure(self, item: Record, reason: str) -> PointResult:
        """Return the result of an image whose workers died."""
        return replace(_empty_result(item), problem=f"{item.image}: {reason}")

    def sent(self, device: str) -> Self:
        """Return the job without the network."""
        from sam2lora.inference.predictor_source import PredictorSource, load_from

        tasks = [task for task in (self.task, self.disc_task) if task is not None]
        source = PredictorSource.of(load_from(self.predictor), tasks, device=device)
        return replace(self, predictor=source)


def _run(
    job: PointJob, records: Sequence[Record], progress: Progress, cluster: "Cluster | None"
) -> Iterator[PointResult]:
    progress(0, len(records))
    with closing(run_job(job, records, total=len(records), cluster=cluster)) as running:
        for done, result in enumerate(running, 1):
            yield result
            progress(done, len(records))


def _empty_result(record: Record) -> PointResult:
    return PointResult(record.dataset, record.stem, record.patient)


def _locate_and_score(
    predictor: "Predictor",
    record: Record,
    task: "SegmentationTask",
    disc_task: "SegmentationTask | None",
) -> PointResult:
    from sam2lora.inference.points import locate_prepared

    landmark = record.point(task.target.name)
    prepared = PreparedImage.of(record.read_image().pixels, field=record.read_field_of_view())
    started = time.perf_counter()
    point = locate_prepared(predictor, prepared, task)
    seconds = time.perf_counter() - started
    reference, found = (landmark.x, landmark.y), (point.x, point.y)
    disc, source = _disc(predictor, record, prepared, disc_task)
    return replace(
        _empty_result(record),
        reference=reference,
        found=found,
        confidence=point.confidence,
        error=math.dist(reference, found),
        disc=disc,
        disc_source=source,
        seconds=seconds,
    )


def _disc(
    predictor: "Predictor",
    record: Record,
    prepared: PreparedImage,
    task: "SegmentationTask | None",
) -> tuple[float | None, DiscSource | None]:
    """Return the diameter of the disc, and where it is from."""
    from sam2lora.inference.segment import segment_prepared

    if "disc" in record.masks:
        return disc_diameter(record.read_mask("disc")), "reference"
    if task is None:
        return None, None
    diameter = disc_diameter(segment_prepared(predictor, prepared, [task])["disc"].mask)
    return diameter, None if diameter is None else "predicted"
