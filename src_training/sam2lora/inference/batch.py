"""Segment many image files: reading, computing and writing overlap; a bad file stops nothing."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import tifffile

from sam2lora.datasets.image_search import directory_entry
from sam2lora.errors import OutputError, Sam2LoraError
from sam2lora.images.decoding import image_stem
from sam2lora.images.reading import FundusImage, read_image
from sam2lora.images.visualization import save_image
from sam2lora.inference.predictor import Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask, TargetPrediction, segment_prepared
from sam2lora.metrics.measurements import Measurements, measure
from sam2lora.utils.files import atomic_path, make_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchProgress:
    """How far the work on many images is.

    Attributes
    ----------
    path
        The image at hand.
    number
        How many images are done before it.
    total
        How many there are.
    share
        How much of it is done, 0…1; it never falls.
    """

    path: Path
    number: int
    total: int
    share: float

    @property
    def done(self) -> float:
        """How many images are done, a part of the one at hand included."""
        return self.number + self.share


ReportBatch = Callable[[BatchProgress], None]


def no_batch_progress(progress: BatchProgress) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class FileResult:
    """What became of one image file.

    Attributes
    ----------
    path
        The image.
    files
        What was written, by target.
    measurements
        Of the masks; None if it failed.
    iou
        Expected IoU by target.
    error
        Why it failed; empty if it did not.
    kept
        Targets whose masks were there already and were left alone; they are not measured.
    """

    path: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    measurements: Measurements | None = None
    iou: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    kept: tuple[str, ...] = ()


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
    """Segment image files one after the other, the next being read and the last written meanwhile.

    Parameters
    ----------
    predictor
        The network.
    paths
        Image files with different stems.
    tasks
        What to segment in each.
    out
        Folder for `<stem>_<target>.png` (0 and 255, native size), made if need be.
    probabilities
        Write `<stem>_<target>_probability.tif` (float32, 0…1) as well.
    keep
        Leave masks that are there already as they are; someone may have corrected them.
    progress
        Called between windows. An exception that it raises stops the work, once what became of the
        image before is yielded; what is written by then is complete.

    Yields
    ------
    What became of each image, in order. A file that cannot be read or segmented is one with an
    `error`; the rest goes on.

    Raises
    ------
    OutputError
        If `out` cannot be written, a full disk included: then nothing more would succeed. Before
        anything is done, if a mask would replace one of the images.
    """
    paths = list(paths)
    _check_images_stay(paths, tasks, out)
    make_folder(out)
    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        coming = _read_ahead(paths, reader)
        writing: Future[FileResult] | None = None
        try:
            for number, (path, image) in enumerate(coming):
                wanted = [task for task in tasks if not (keep and _is_there(path, task, out))]
                kept = tuple(task.target.name for task in tasks if task not in wanted)
                try:
                    begun = BatchProgress(path, number, len(paths), 0.0)
                    done = _segment_one(predictor, begun, image, wanted, progress)
                finally:  # also where it is stopped: the image before is written all the same
                    before, writing = writing, None
                    if before:
                        yield before.result()
                writing = writer.submit(_write, done, out, kept, probabilities=probabilities)
            if writing:
                yield writing.result()
        finally:
            reader.shutdown(cancel_futures=True)


@dataclass(frozen=True, eq=False)
class _Done:
    path: Path
    prepared: PreparedImage | None = None
    segmented: Mapping[str, TargetPrediction] = field(default_factory=dict)
    spacing: tuple[float, float] | None = None
    error: str = ""


def _check_images_stay(paths: Sequence[Path], tasks: Sequence[SegmentationTask], out: Path) -> None:
    """Refuse to write a mask over one of the images, such as the `a_cup.png` beside `a.png`."""
    images = {directory_entry(path) for path in paths}
    for path in paths:
        for task in tasks:
            mask = _mask_path(path, task.target.name, out)
            if directory_entry(mask) in images:
                raise OutputError(
                    f"{mask}: is one of the images, and the {task.target.name} mask of {path} "
                    "would replace it. Choose another folder with --out."
                )


def _mask_path(image: Path, target: str, out: Path) -> Path:
    return out / f"{image_stem(image)}_{target}.png"


def _is_there(image: Path, task: SegmentationTask, out: Path) -> bool:
    return _mask_path(image, task.target.name, out).exists()


def _read_ahead(
    paths: Iterable[Path], reader: ThreadPoolExecutor
) -> Iterator[tuple[Path, Future[FundusImage]]]:
    previous: tuple[Path, Future[FundusImage]] | None = None
    for path in paths:
        coming = (path, reader.submit(read_image, path))
        if previous:
            yield previous
        previous = coming
    if previous:
        yield previous


def _segment_one(
    predictor: Predictor,
    begun: BatchProgress,
    image: Future[FundusImage],
    tasks: Sequence[SegmentationTask],
    progress: ReportBatch,
) -> _Done:
    path = begun.path
    if not tasks:
        return _Done(path)
    try:
        fundus = image.result()
        prepared = PreparedImage.of(fundus.pixels)
        segmented: dict[str, TargetPrediction] = {}
        for number, task in enumerate(tasks):
            show = partial(_show_share, progress, begun, number, len(tasks))
            segmented |= segment_prepared(predictor, prepared, [task], progress=show)
        return _Done(path, prepared, segmented, fundus.spacing)
    except Sam2LoraError as error:
        logger.debug("%s failed", path, exc_info=error)
        return _Done(path, error=str(error))


def _show_share(
    progress: ReportBatch, begun: BatchProgress, number: int, tasks: int, done: int, total: int
) -> None:
    """Report how much of an image is done, from the steps of its task with this number."""
    progress(replace(begun, share=(number + done / total) / tasks))


def _write(done: _Done, out: Path, kept: tuple[str, ...], *, probabilities: bool) -> FileResult:
    if done.prepared is None:
        return FileResult(done.path, error=done.error, kept=kept)
    files = {}
    for target, answer in done.segmented.items():
        files[target] = _mask_path(done.path, target, out)
        save_image(files[target], answer.mask)
        if probabilities:
            values = files[target].with_name(f"{files[target].stem}_probability.tif")
            with atomic_path(values) as temporary:
                tifffile.imwrite(temporary, answer.probabilities, compression="zlib")
    masks = {target: answer.mask for target, answer in done.segmented.items()}
    return FileResult(
        done.path,
        files,
        measure(masks, done.prepared.field, spacing=done.spacing),
        {target: answer.iou for target, answer in done.segmented.items()},
        kept=kept,
    )
