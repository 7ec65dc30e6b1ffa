"""Segment many image files: reading, predicting and writing overlap; a bad file stops nothing."""

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import tifffile

from sam2lora.annotations.points import PointAnnotation, save_point
from sam2lora.datasets.image_search import directory_entry
from sam2lora.errors import OutputError, Sam2LoraError
from sam2lora.images.decoding import image_stem
from sam2lora.images.file_mark import MASK_SOFTWARE
from sam2lora.images.reading import FundusImage, read_image
from sam2lora.images.visualization import save_image
from sam2lora.inference.confidence_file import update_confidences
from sam2lora.inference.points import PointPrediction, locate_prepared
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import (
    SegmentationTask,
    TargetPrediction,
    outer_first,
    segment_prepared,
)
from sam2lora.measurements.structures import Measurements, measure
from sam2lora.targets import Target
from sam2lora.utils.files import atomic_path, make_folder

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
class FileResult:
    """The result of one image file.

    Attributes
    ----------
    path
        The image.
    files
        The written masks and points by target.
    measurements
        Measurements of the masks; None if there are none.
    iou
        Predicted IoU by target.
    confidence
        By target, how sure its mask is, 0…1; None if that is not known.
    error
        Why it failed; empty if it did not.
    kept
        Targets whose masks already existed and were kept; they are not measured.
    note
        How the image was converted on reading; empty if it was not.
    points
        Predictions of the targets that are points.
    """

    path: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    measurements: Measurements | None = None
    iou: Mapping[str, float] = field(default_factory=dict)
    confidence: Mapping[str, float | None] = field(default_factory=dict)
    error: str = ""
    kept: tuple[str, ...] = ()
    note: str = ""
    points: Mapping[str, PointPrediction] = field(default_factory=dict)


def segment_paths(
    predictor: Predictor,
    paths: Iterable[Path],
    tasks: Sequence[SegmentationTask],
    out: Path,
    *,
    probabilities: bool = False,
    keep: bool = False,
    progress: ReportBatch = no_batch_progress,
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
        previous image is yielded; all files written by then are complete.

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
    _check_images_stay(paths, tasks, out)
    make_folder(out)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        images = _read_ahead(paths, reader)
        writing: Future[FileResult] | None = None
        sure: dict[str, Mapping[str, float | None]] = {}

        def written(one: Future[FileResult]) -> FileResult:
            result = one.result()
            if result.confidence:
                sure[result.path.name] = result.confidence
            return result

        try:
            for number, (path, image) in enumerate(images):
                refusal = _refuse_names(path, tasks, out, probabilities=probabilities)
                missing = [
                    task for task in tasks if refusal or not (keep and _exists(path, task, out))
                ]
                kept = tuple(task.target.name for task in tasks if task not in missing)
                try:
                    start = BatchProgress(path, number, len(paths), 0.0)
                    segmented = (
                        _Segmented(path, error=refusal)
                        if refusal
                        else _segment_one(predictor, start, image, missing, progress)
                    )
                finally:  # even if it is stopped: the previous image is written all the same
                    previous, writing = writing, None
                    if previous:
                        yield written(previous)
                writing = writer.submit(_write, segmented, out, kept, probabilities=probabilities)
            if writing:
                yield written(writing)
        finally:
            reader.shutdown(cancel_futures=True)
            if sure:
                update_confidences(out, sure)


@dataclass(frozen=True, eq=False)
class _Segmented:
    """The predictions of one image, to be written."""

    path: Path
    prepared: PreparedImage | None = None
    predictions: Mapping[str, TargetPrediction] = field(default_factory=dict)
    points: Mapping[str, PointPrediction] = field(default_factory=dict)
    spacing: tuple[float, float] | None = None
    note: str = ""
    error: str = ""


def _check_images_stay(paths: Sequence[Path], tasks: Sequence[SegmentationTask], out: Path) -> None:
    """Refuse to write a mask over one of the images, such as `a_cup.png` next to `a.png`."""
    images = {directory_entry(path) for path in paths}
    for path in paths:
        for task in tasks:
            result = _result_path(path, task.target, out)
            if directory_entry(result) in images:
                raise OutputError(
                    f"{result}: is one of the images, and the {task.target.name} mask of {path} "
                    "would replace it. Choose another folder with --out."
                )


def _result_path(image: Path, target: Target, out: Path) -> Path:
    path = _mask_path if target.kind == "mask" else _point_path
    return path(image, target.name, out)


def _mask_path(image: Path, target: str, out: Path) -> Path:
    return out / f"{image_stem(image)}_{target}.png"


def _point_path(image: Path, target: str, out: Path) -> Path:
    return out / f"{image_stem(image)}_{target}.json"


def _probability_path(mask: Path) -> Path:
    return mask.with_name(f"{mask.stem}_probability.tif")


def _refuse_names(
    image: Path, tasks: Sequence[SegmentationTask], out: Path, *, probabilities: bool
) -> str:
    """Return why the file system cannot have the names of an image's results; empty if it can."""
    for task in tasks:
        result = _result_path(image, task.target, out)
        for path in (result, _probability_path(result)) if probabilities else (result,):
            try:
                path.lstat()
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    return f"{image}: the name of its result {path.name} is too long. Rename it."
    return ""


def _exists(image: Path, task: SegmentationTask, out: Path) -> bool:
    return _result_path(image, task.target, out).exists()


def _read_ahead(
    paths: Iterable[Path], reader: ThreadPoolExecutor
) -> Iterator[tuple[Path, Future[FundusImage]]]:
    previous: tuple[Path, Future[FundusImage]] | None = None
    for path in paths:
        following = (path, reader.submit(read_image, path))
        if previous:
            yield previous
        previous = following
    if previous:
        yield previous


def _segment_one(
    predictor: Predictor,
    start: BatchProgress,
    image: Future[FundusImage],
    tasks: Sequence[SegmentationTask],
    progress: ReportBatch,
) -> _Segmented:
    path = start.path
    if not tasks:
        return _Segmented(path)
    try:
        fundus = image.result()
        prepared = PreparedImage.of(fundus.pixels)
        predictions: dict[str, TargetPrediction] = {}
        points: dict[str, PointPrediction] = {}
        for number, task in enumerate(outer_first(tasks)):
            show = partial(_show_share, progress, start, number, len(tasks))
            if task.target.kind == "point":
                points[task.target.name] = locate_prepared(predictor, prepared, task, progress=show)
                continue
            known = {name: one.mask for name, one in predictions.items()}
            predictions |= segment_prepared(predictor, prepared, [task], known=known, progress=show)
        names = [task.target.name for task in tasks if task.target.name in predictions]
        predictions = {name: predictions[name] for name in names}
        return _Segmented(path, prepared, predictions, points, fundus.spacing, fundus.note)
    except _StopError as stop:
        raise stop.reason from None
    except Exception as error:  # the image that causes it must not end the others
        logger.debug("%s failed", path, exc_info=error)
        return _Segmented(path, error=_reason(path, error))


def _reason(path: Path, error: Exception) -> str:
    """Return why an image failed; what is not an error of input is named as a defect."""
    if isinstance(error, Sam2LoraError):
        message = str(error)
        return message if str(path) in message else f"{path}: {message}"
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return (
        f"{path}: failed by a defect of this program ({what}); the other images are not affected. "
        "Report it with what `sam2lora --debug predict` prints."
    )


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


def _write(
    segmented: _Segmented, out: Path, kept: tuple[str, ...], *, probabilities: bool
) -> FileResult:
    if segmented.prepared is None:
        return FileResult(segmented.path, error=segmented.error, kept=kept)
    files = {}
    for target, point in segmented.points.items():
        files[target] = _point_path(segmented.path, target, out)
        save_point(files[target], PointAnnotation(target=target, **asdict(point)))
    for target, prediction in segmented.predictions.items():
        files[target] = _mask_path(segmented.path, target, out)
        save_image(files[target], prediction.mask)
        if probabilities:
            with atomic_path(_probability_path(files[target])) as temporary:
                tifffile.imwrite(
                    temporary,
                    prediction.probabilities,
                    compression="zlib",
                    software=MASK_SOFTWARE,
                )
    masks = {target: prediction.mask for target, prediction in segmented.predictions.items()}
    try:
        measurements = measure(masks, segmented.prepared.field, spacing=segmented.spacing)
    except Exception as error:  # as above; the masks are whole
        logger.debug("%s failed", segmented.path, exc_info=error)
        reason = _reason(segmented.path, error)
        return FileResult(segmented.path, files, error=reason, kept=kept)
    return FileResult(
        segmented.path,
        files,
        measurements,
        {target: prediction.iou for target, prediction in segmented.predictions.items()},
        {target: prediction.confidence for target, prediction in segmented.predictions.items()},
        kept=kept,
        note=segmented.note,
        points=segmented.points,
    )
