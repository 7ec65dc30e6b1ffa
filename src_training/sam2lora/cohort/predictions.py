"""Segment images and measure what was predicted, as `sam2lora predict --measure` does."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sam2lora.cohort.inputs import masks_in, record_of
from sam2lora.cohort.record_row import Provenance, Row, identity_cells, row_of_record
from sam2lora.cohort.run import has_digest, table_writer
from sam2lora.cohort.table import check_path
from sam2lora.compute.jobs import Job, Work, run_job
from sam2lora.datasets import Record
from sam2lora.datasets.image_search import find_images
from sam2lora.inference.batch import (
    BatchProgress,
    ImageRequest,
    ReportBatch,
    SegmentJob,
    no_batch_progress,
)
from sam2lora.inference.confidence_file import confidence_writer
from sam2lora.inference.pipeline import load_predictor, tasks_of
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.result_files import FileResult
from sam2lora.inference.segment import SegmentationTask
from sam2lora.inference.settings import PredictSettings, command_line, predict_options
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
    digest
        Digest of the image and its masks with which all of it stays as it is; empty if there is
        none.
    """

    image: ImageRequest
    digest: str = ""


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

    def open(self) -> Work[PredictRequest, PredictedRow]:
        """Load the network, if it is not."""
        return partial(_predict_requests, self, self.segment.open())

    def failure(self, item: PredictRequest, reason: str) -> PredictedRow:
        """Return the result of an image whose workers died."""
        result = self.segment.failure(item.image, reason)
        return result, _row(result, self.settings, self.provenance)

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
    tasks, out, total = job.segment.tasks, job.segment.out, len(paths)
    with table_writer(table, (path.as_posix() for path in paths)) as writer:
        requests = (
            PredictRequest(
                ImageRequest.of(path, tasks, out, keep=job.settings.keep),
                writer.digest_before(record_of(path), job.provenance),
            )
            for path in paths
        )
        running = run_job(job, requests, total=total, cluster=cluster)
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
    segment: Work[ImageRequest, FileResult],
    requests: Iterable[PredictRequest],
) -> Iterator[PredictedRow]:
    stays: deque[bool] = deque()

    def images() -> Iterator[ImageRequest]:
        for request in requests:
            image = request.image
            stays.append(has_digest(_predicted(image.path, job.settings), request.digest))
            yield replace(image, kept=tuple(job.settings.targets)) if stays[-1] else image

    for result in segment(images()):
        row = None if stays.popleft() else _row(result, job.settings, job.provenance)
        yield result, row


def _predicted(path: Path, settings: PredictSettings) -> Record:
    """Return the record of an image with the masks that were predicted, or kept."""
    masks = masks_in(Path(settings.out), path)
    chosen = {name: masks[name] for name in settings.targets if name in masks}
    return replace(record_of(path), masks=chosen, fov=None)


def _row(result: FileResult, settings: PredictSettings, provenance: Provenance) -> Row:
    record = _predicted(result.path, settings)
    if result.error:
        return {
            **identity_cells(record),
            "error": result.error.removeprefix(f"{result.path}: "),
        }
    new = {name: one for name, one in provenance.adapters.items() if name not in result.kept}
    used = replace(provenance, adapters=new, iou=result.iou) if new else None
    return row_of_record(record, provenance=used)


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
