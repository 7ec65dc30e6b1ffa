"""The files of what was predicted: their names, and writing them whole or not at all."""

import errno
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import tifffile

from sam2lora.annotations.points import PointAnnotation, save_point
from sam2lora.datasets.image_search import directory_entry
from sam2lora.errors import OutputError, Sam2LoraError
from sam2lora.images.decoding import image_stem
from sam2lora.images.file_mark import MASK_SOFTWARE
from sam2lora.images.visualization import save_image
from sam2lora.inference.points import PointPrediction
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import SegmentationTask, TargetPrediction
from sam2lora.measurements.structures import Measurements, measure
from sam2lora.targets import Target
from sam2lora.utils.files import atomic_path

logger = logging.getLogger(__name__)


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


@dataclass(frozen=True, eq=False)
class Segmented:
    """The predictions of one image, to be written.

    Attributes
    ----------
    path
        The image.
    prepared
        The image with its field of view; None if there is nothing to write.
    predictions, points
        The predictions by target.
    spacing
        Size of a pixel in mm, if known.
    note
        How the image was converted on reading.
    error
        Why it failed.
    """

    path: Path
    prepared: PreparedImage | None = None
    predictions: Mapping[str, TargetPrediction] = field(default_factory=dict)
    points: Mapping[str, PointPrediction] = field(default_factory=dict)
    spacing: tuple[float, float] | None = None
    note: str = ""
    error: str = ""


def check_images_stay(paths: Sequence[Path], tasks: Sequence[SegmentationTask], out: Path) -> None:
    """Refuse to write a mask over one of the images, such as `a_cup.png` next to `a.png`.

    Raises
    ------
    OutputError
        If a mask would replace one.
    """
    images = {directory_entry(path) for path in paths}
    for path in paths:
        for task in tasks:
            result = result_path(path, task.target, out)
            if directory_entry(result) in images:
                raise OutputError(
                    f"{result}: is one of the images, and the {task.target.name} mask of {path} "
                    "would replace it. Choose another folder with --out."
                )


def result_path(image: Path, target: Target, out: Path) -> Path:
    """Return the path of the mask or the point of a target."""
    path = _mask_path if target.kind == "mask" else _point_path
    return path(image, target.name, out)


def has_result(image: Path, target: Target, out: Path) -> bool:
    """Check whether there is a mask or a point of a target already."""
    try:
        return result_path(image, target, out).exists()
    except OSError:  # a name that is too long
        return False


def _mask_path(image: Path, target: str, out: Path) -> Path:
    return out / f"{image_stem(image)}_{target}.png"


def _point_path(image: Path, target: str, out: Path) -> Path:
    return out / f"{image_stem(image)}_{target}.json"


def _probability_path(mask: Path) -> Path:
    return mask.with_name(f"{mask.stem}_probability.tif")


def refuse_names(
    image: Path, tasks: Sequence[SegmentationTask], out: Path, *, probabilities: bool
) -> str:
    """Return why the file system cannot have the names of an image's results; empty if it can."""
    for task in tasks:
        result = result_path(image, task.target, out)
        for path in (result, _probability_path(result)) if probabilities else (result,):
            try:
                path.lstat()
            except OSError as error:
                if error.errno == errno.ENAMETOOLONG:
                    return f"{image}: the name of its result {path.name} is too long. Rename it."
    return ""


def reason_of_failure(path: Path, error: Exception) -> str:
    """Return why an image failed; what is not an error of input is named as a defect."""
    if isinstance(error, Sam2LoraError):
        message = str(error)
        return message if str(path) in message else f"{path}: {message}"
    what = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return (
        f"{path}: failed by a defect of this program ({what}); the other images are not affected. "
        "Report it with what `sam2lora --debug predict` prints."
    )


def write_results(
    segmented: Segmented, out: Path, kept: tuple[str, ...], *, probabilities: bool
) -> FileResult:
    """Write the masks and points of an image, each at once when it is complete.

    Parameters
    ----------
    segmented
        The predictions.
    out
        The folder.
    kept
        Targets whose masks stay as they are.
    probabilities
        Whether to write maps of the probabilities, too.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
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
    except Exception as error:  # the masks are whole, and the others go on
        logger.debug("%s failed", segmented.path, exc_info=error)
        reason = reason_of_failure(segmented.path, error)
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
