"""Segment images and measure what was predicted, as `sam2lora predict --measure` does."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sam2lora.cohort.inputs import masks_in, record_of, records_by_image
from sam2lora.cohort.record_row import Provenance, Row, identity_cells, row_of_record
from sam2lora.cohort.run import has_digest, table_writer
from sam2lora.cohort.table import check_path
from sam2lora.compute.jobs import Job, JobWork, run_job
from sam2lora.datasets import Record
from sam2lora.datasets.image_search import find_images
from sam2lora.inference.batch import (
    BatchProgress,
    ImageRequest,
    ReportBatch,
    SegmentJob,
    no_batch_progress,
)
from sam2lora.inference.confidence_file import confidence_writer, read_confidences
from sam2lora.inference.pipeline import load_predictor
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.result_files import FileResult
from sam2lora.inference.segment import SegmentationTask
from sam2lora.inference.settings import PredictSettings, command_line, predict_options
from sam2lora.inference.tasks import tasks_of
from sam2lora.targets import FOVEA
from sam2lora.utils.download import DownloadProgress, ignore_progress

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster


@dataclass(frozen=True)
class PredictRequest:
    """An image to segment and measure.

    Attributes
    ----------
    image
        What to segment in it.
    record
        The image as part of a dataset.
    digest
        Digest of the image and its masks with which all of it stays as it is; empty if there is
        none.
    confidences
        How sure its masks are that were predicted before, by target.
    """

    image: ImageRequest
    record: Record
    digest: str
    confidences: Mapping[str, float | None]


PredictedRow = tuple[FileResult, Row | None]
"""What was predicted, and the row; None: the row stays as it is."""


@dataclass(frozen=True, eq=False)
class PredictJob(Job[PredictRequest, PredictedRow]):
    """Segments images and measures them.

    Attributes
    ----------
    segment
        The job that segments them.
    settings
        What was asked for.
    provenance
        How masks are predicted.
    """

    segment: SegmentJob
    settings: PredictSettings
    provenance: Provenance

    def open(self) -> JobWork[PredictRequest, PredictedRow]:
        """Load the network, if it is not."""
        return partial(_predict_requests, self, self.segment.open())

    def failure(self, item: PredictRequest, reason: str) -> PredictedRow:
        """Return the result of an image whose workers died."""
        result = self.segment.failure(item.image, reason)
        return result, _row(item, result, self)

    def sent(self, device: str) -> Self:
        """Return the job without the network."""
        return replace(self, segment=self.segment.sent(device))


def predict_and_measure(
    settings: PredictSettings,
    table: Path,
    *,
    predictor: Predictor | None = None,
    download_progress: DownloadProgress = ignore_progress,
    progress: ReportBatch = no_batch_progress,
    cluster: "Cluster | None" = None,
) -> Iterator[FileResult]:
    """Segment image files as `segment_files` does, and write a table with a row for each.

    An image is not segmented again where its masks, and its row in an existing table, are still
    there and from the same image, model, adapters and options.

    Parameters
    ----------
    settings
        The images, targets, model and output folder.
    table
        The table, `.csv` or `.parquet`.
    predictor, download_progress, progress, cluster
        As for `segment_files`.

    Yields
    ------
    The result of each image, in order.

    Raises
    ------
    Sam2LoraError
        As for `segment_files` and `measure_records`.
    """
    check_path(table)
    paths = find_images(settings.images)
    settings.check_prompts_fit(len(paths))
    predictor = predictor or load_predictor(
        settings.model,
        device=settings.device,
        precision=settings.precision,
        progress=download_progress,
    )
    tasks = tasks_of(settings, predictor.base)
    segment = SegmentJob.of(
        predictor,
        paths,
        tasks,
        Path(settings.out),
        probabilities=settings.probabilities,
        progress=progress,
    )
    job = PredictJob(segment, settings, _provenance(settings, predictor, tasks))
    return _run(job, table, paths, progress, cluster)


def _run(
    job: PredictJob,
    table: Path,
    paths: Sequence[Path],
    progress: ReportBatch,
    cluster: "Cluster | None",
) -> Iterator[FileResult]:
    settings, tasks, out, total = job.settings, job.segment.tasks, job.segment.out, len(paths)
    before = read_confidences(out)
    records = records_by_image(settings.images)
    with table_writer(table, (path.as_posix() for path in paths)) as writer:

        def request_of(path: Path) -> PredictRequest:
            image = ImageRequest.of(path, tasks, out, keep=settings.keep)
            record = records.get(path) or record_of(path)
            digest = writer.digest_before(record, job.provenance)
            return PredictRequest(image, record, digest, before.get(path.name, {}))

        running = run_job(job, map(request_of, paths), total=total, cluster=cluster)
        with confidence_writer(out) as confidences, closing(running):
            for number, (result, row) in enumerate(running):
                confidences.add(result.path.name, result.confidence)
                if row is None:
                    writer.keep(result.path)
                else:
                    writer.add(row)
                if cluster is not None:
                    progress(BatchProgress(result.path, number, total, 1.0))
                yield result


def _predict_requests(
    job: PredictJob,
    segment: JobWork[ImageRequest, FileResult],
    requests: Iterable[PredictRequest],
) -> Iterator[PredictedRow]:
    targets = tuple(job.settings.targets)
    taken: deque[tuple[PredictRequest, bool]] = deque()

    def images() -> Iterator[ImageRequest]:
        for request in requests:
            record = _predicted(request, job.settings)
            stays = set(targets) <= record.masks.keys() and has_digest(record, request.digest)
            taken.append((request, stays))
            yield replace(request.image, kept=targets) if stays else request.image

    for result in segment(images()):
        request, stays = taken.popleft()
        yield result, None if stays else _row(request, result, job)


def _predicted(request: PredictRequest, settings: PredictSettings) -> Record:
    """Return the record of an image with the masks that were predicted, or kept, and the fovea."""
    path = request.image.path
    masks = masks_in(Path(settings.out), path, {path.name: request.confidences})
    wanted = (*settings.targets, FOVEA.name)
    chosen = {name: masks[name] for name in dict.fromkeys(wanted) if name in masks}
    return replace(request.record, masks=chosen, fov=None)


def _row(request: PredictRequest, result: FileResult, job: PredictJob) -> Row:
    if result.error:
        return {
            **identity_cells(request.record),
            "error": result.error.removeprefix(f"{result.path}: "),
        }
    adapters = job.provenance.adapters
    new = {name: one for name, one in adapters.items() if name not in result.kept}
    sure = result.confidence
    used = replace(job.provenance, adapters=new, iou=result.iou, confidence=sure) if new else None
    return row_of_record(_predicted(request, job.settings), provenance=used)


def _provenance(
    settings: PredictSettings, predictor: Predictor, tasks: Sequence[SegmentationTask]
) -> Provenance:
    base = predictor.base
    adapters = {
        task.target.name: (task.adapter.name, task.adapter.digest()) if task.adapter else ("", "")
        for task in tasks
    }
    # What does not change the masks is left out, and the precision is the one that was chosen.
    update = {"adapter": None, "device": "auto", "probabilities": False, "keep": False}
    used = settings.model_copy(update=update | {"precision": predictor.precision})
    options = command_line(list(predict_options(used)))
    return Provenance(base.spec.name, base.weights_sha256, adapters, options)
