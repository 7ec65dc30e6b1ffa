"""Segment many image files: reading, predicting and writing overlap; a bad file stops nothing."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from sam2lora.compute.jobs import Job, JobWork, run_job
from sam2lora.images.reading import FundusImage, read_image
from sam2lora.inference.confidence_file import confidence_writer
from sam2lora.inference.points import PointPrediction, locate_prepared
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.predictor_source import PredictorSource, load_from
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.result_files import (
    FileResult,
    Segmented,
    check_images_stay,
    has_result,
    reason_of_failure,
    refuse_names,
    write_results,
)
from sam2lora.inference.segment import (
    SegmentationTask,
    TargetPrediction,
    outer_first,
    segment_prepared,
)
from sam2lora.utils.files import make_folder

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchProgress:
    """The progress of segmenting many images.

    Attributes
    ----------
    path
        The current image.
    number
        Number of images before it.
    total
        Number of all images.
    share
        Share of the current image that is done, 0…1; it never decreases.
    """

    path: Path
    number: int
    total: int
    share: float

    @property
    def done(self) -> float:
        """Number of images done, including the share of the current one."""
        return self.number + self.share


ReportBatch = Callable[[BatchProgress], None]


def no_batch_progress(progress: BatchProgress) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class ImageRequest:
    """An image to segment.

    Attributes
    ----------
    path
        The image file.
    kept
        Targets that are not segmented, since their masks stay as they are.
    """

    path: Path
    kept: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, tasks: Sequence[SegmentationTask], out: Path, *, keep: bool) -> Self:
        """Create a request; `keep`: masks that exist are kept."""
        if not keep:
            return cls(path)
        targets = [task.target for task in tasks]
        return cls(path, tuple(one.name for one in targets if has_result(path, one, out)))


@dataclass(frozen=True, eq=False)
class SegmentJob(Job[ImageRequest, FileResult]):
    """Segments images, and writes their masks and points.

    Attributes
    ----------
    predictor
        The network, or what it is loaded from.
    tasks
        What to segment in each image.
    out
        Folder of the results.
    total
        Number of images, for the progress.
    probabilities
        Whether to write maps of the probabilities, too.
    progress
        Called between windows, in this process.
    """

    after_loss: ClassVar[str] = (
        "Masks that are written stay. The same command starts over; with --keep it makes those "
        "that are missing."
    )

    predictor: Predictor | PredictorSource
    tasks: Sequence[SegmentationTask]
    out: Path
    total: int
    probabilities: bool = False
    progress: ReportBatch = no_batch_progress

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        paths: Sequence[Path],
        tasks: Sequence[SegmentationTask],
        out: Path,
        *,
        probabilities: bool = False,
        progress: ReportBatch = no_batch_progress,
    ) -> Self:
        """Create a job for images with different stems, and its folder.

        Raises
        ------
        OutputError
            If the folder cannot be created, or a mask would replace one of the images.
        """
        check_images_stay(paths, tasks, out)
        make_folder(out)
        return cls(predictor, tasks, out, len(paths), probabilities, progress)

    def open(self) -> JobWork[ImageRequest, FileResult]:
        """Load the network, if it is not."""
        return partial(_segment_requests, load_from(self.predictor), self)

    def failure(self, item: ImageRequest, reason: str) -> FileResult:
        """Return the result of an image whose workers died."""
        return FileResult(item.path, error=f"{item.path}: {reason}")

    def sent(self, device: str) -> Self:
        """Return the job without the network."""
        source = PredictorSource.of(load_from(self.predictor), self.tasks, device=device)
        return replace(self, predictor=source, progress=no_batch_progress)


def segment_paths(
    predictor: Predictor,
    paths: Iterable[Path],
    tasks: Sequence[SegmentationTask],
    out: Path,
    *,
    probabilities: bool = False,
    keep: bool = False,
    progress: ReportBatch = no_batch_progress,
    cluster: "Cluster | None" = None,
) -> Iterator[FileResult]:
    """Segment image files in order, while the next is read and the previous one is written.

    Parameters
    ----------
    predictor
        The network.
    paths
        Image files with different stems.
    tasks
        What to segment in each.
    out
        Folder for `<stem>_<target>.png` (0 and 255, native size), `<stem>_<target>.json` for a
        point, and `confidence.csv`, which is written when the work ends or is stopped; created if
        necessary.
    probabilities
        Whether to write `<stem>_<target>_probability.tif` (float32, 0…1), too.
    keep
        Whether to keep existing masks and points, which may have been corrected.
    progress
        Called between windows. An exception that it raises stops the work, after the result of the
        previous image is yielded; all files written by then are complete. On a cluster it is called
        for images that are done.
    cluster
        Workers that segment; None: this process.

    Yields
    ------
    The result of each image, in order. A file that cannot be read or segmented has an `error`,
    whatever was raised; the others are segmented all the same.

    Raises
    ------
    OutputError
        If `out` cannot be written, as on a full disk; or, before anything is done, if a mask would
        replace one of the images.
    """
    paths = list(paths)
    job = SegmentJob.of(
        predictor, paths, tasks, out, probabilities=probabilities, progress=progress
    )
    requests = (ImageRequest.of(path, tasks, out, keep=keep) for path in paths)
    running = run_job(job, requests, total=len(paths), cluster=cluster)
    with confidence_writer(out) as writer, closing(running):
        for number, result in enumerate(running):
            writer.add(result.path.name, result.confidence)
            if cluster is not None:
                progress(BatchProgress(result.path, number, len(paths), 1.0))
            yield result


def _segment_requests(
    predictor: Predictor, job: SegmentJob, requests: Iterable[ImageRequest]
) -> Iterator[FileResult]:
    """Segment images in order, while the next is read and the previous one is written."""
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        writing: Future[FileResult] | None = None
        try:
            for number, (request, image) in enumerate(_read_ahead(job, requests, reader)):
                path, kept = request.path, request.kept
                refusal = refuse_names(path, job.tasks, job.out, probabilities=job.probabilities)
                try:
                    start = BatchProgress(path, number, job.total, 0.0)
                    segmented = (
                        Segmented(path, error=refusal)
                        if refusal
                        else _segment_one(predictor, job, start, image, kept)
                    )
                finally:  # even if it is stopped: the previous image is written all the same
                    previous, writing = writing, None
                    if previous:
                        yield previous.result()
                kept = () if refusal else kept
                writing = writer.submit(
                    write_results, segmented, job.out, kept, probabilities=job.probabilities
                )
            if writing:
                yield writing.result()
        finally:
            reader.shutdown(cancel_futures=True)


def _read_ahead(
    job: SegmentJob, requests: Iterable[ImageRequest], reader: ThreadPoolExecutor
) -> Iterator[tuple[ImageRequest, Future[FundusImage] | None]]:
    """Read the images of requests, each while the one before is used; None where it is not."""
    previous: tuple[ImageRequest, Future[FundusImage] | None] | None = None
    for request in requests:
        needed = bool(_missing(job, request.kept))
        following = (request, reader.submit(read_image, request.path) if needed else None)
        if previous:
            yield previous
        previous = following
    if previous:
        yield previous


def _missing(job: SegmentJob, kept: Sequence[str]) -> list[SegmentationTask]:
    return [task for task in job.tasks if task.target.name not in kept]


def _segment_one(
    predictor: Predictor,
    job: SegmentJob,
    start: BatchProgress,
    image: Future[FundusImage] | None,
    kept: Sequence[str],
) -> Segmented:
    path, tasks = start.path, _missing(job, kept)
    if image is None:
        return Segmented(path)
    try:
        fundus = image.result()
        prepared = PreparedImage.of(fundus.pixels)
        predictions: dict[str, TargetPrediction] = {}
        points: dict[str, PointPrediction] = {}
        for number, task in enumerate(outer_first(tasks)):
            show = partial(_show_share, job.progress, start, number, len(tasks))
            if task.target.kind == "point":
                points[task.target.name] = locate_prepared(predictor, prepared, task, progress=show)
                continue
            known = {name: one.mask for name, one in predictions.items()}
            predictions |= segment_prepared(predictor, prepared, [task], known=known, progress=show)
        names = [task.target.name for task in tasks if task.target.name in predictions]
        predictions = {name: predictions[name] for name in names}
        return Segmented(path, prepared, predictions, points, fundus.spacing, fundus.note)
    except _StopError as stop:
        raise stop.reason from None
    except Exception as error:  # the image that causes it must not end the others
        logger.debug("%s failed", path, exc_info=error)
        return Segmented(path, error=reason_of_failure(path, error))


class _StopError(BaseException):
    """What `progress` raised: it stops the work, and no image is the cause."""

    def __init__(self, reason: Exception) -> None:
        self.reason = reason


def _show_share(
    progress: ReportBatch, start: BatchProgress, number: int, tasks: int, done: int, total: int
) -> None:
    """Report the share of an image that is done, from the steps of its task `number`."""
    try:
        progress(replace(start, share=(number + done / total) / tasks))
    except Exception as error:
        raise _StopError(error) from error
