"""Prediction for the command line, the viewer and notebooks.

`load_predictor` loads a base model, `segment_image` segments one image and returns the masks,
`locate_image` returns a point of it, `segment_files` segments many files and writes them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sam2lora.datasets.image_search import find_images
from sam2lora.errors import SettingsError, TargetError
from sam2lora.images.reading import FundusImage, read_image, to_rgb
from sam2lora.inference.batch import ReportBatch, no_batch_progress, segment_paths
from sam2lora.inference.points import PointPrediction, locate_prepared
from sam2lora.inference.predictor import NO_PROMPTS, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.result_files import FileResult
from sam2lora.inference.segment import (
    SegmentationTask,
    TargetPrediction,
    segment_prepared,
)
from sam2lora.inference.settings import PredictSettings, check_model_choice, check_one_target
from sam2lora.inference.tasks import adapter_for, make_tasks, tasks_of, unique_targets
from sam2lora.models.loading import load_base
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import FieldSizes, PrecisionChoice
from sam2lora.targets import InputMode, Target, get_target
from sam2lora.utils.download import DownloadProgress, ignore_progress
from sam2lora.utils.progress import Progress, no_progress

if TYPE_CHECKING:
    from sam2lora.compute.workers import Cluster

_SHARED = ("images", "out", "model", "device", "precision", "probabilities", "keep")

ImageInput = str | Path | FundusImage | NDArray[Any] | PreparedImage
"""One image: its file, the image as read, an array of its pixels, or a prepared image."""


def load_predictor(
    model: str | Path = "nano",
    *,
    device: str = "auto",
    precision: PrecisionChoice = "auto",
    progress: DownloadProgress = ignore_progress,
) -> Predictor:
    """Load a base model onto a device, ready to predict.

    Parameters
    ----------
    model
        Name of a base model, downloaded if necessary, or a file of weights.
    device, precision
        As for `choose_device` and `choose_precision` of `sam2lora.compute.device`.
    progress
        Called with (bytes, bytes in total) during a download.

    Raises
    ------
    DeviceError
        If the device does not exist or does not support the precision.
    ModelError
        If the name is unknown, the file is missing, corrupt or does not fit, or the download fails.
    OutputError
        If a download cannot be written.
    """
    return Predictor(load_base(model, progress=progress), device=device, precision=precision)


def segment_image(
    image: ImageInput,
    targets: str | Target | Sequence[str | Target],
    *,
    predictor: Predictor | None = None,
    prompts: Prompts = NO_PROMPTS,
    adapter: str | Path | None = None,
    outer_adapter: str | Path | None = None,
    no_adapter: bool = False,
    detail: InputMode | None = None,
    threshold: float | None = None,
    tta: bool = False,
    field_sizes: FieldSizes = (),
    progress: Progress = no_progress,
) -> dict[str, TargetPrediction]:
    """Segment one image.

    Parameters
    ----------
    image
        A file; a `FundusImage`; an array, `(H, W, 3)` uint8 or anything that `read_image` can
        convert to it; or a `PreparedImage`, whose field of view is known already.
    targets
        One or several, by name or as `Target`.
    predictor
        From `load_predictor`; None loads the embedded model for this call.
    prompts
        Prompts of one target, in pixels of the image.
    adapter
        Name or folder of an adapter, or a run folder for its best adapter; None takes the shipped
        one for the target, or else the newest.
    outer_adapter
        The same for the target that one of these lies in, as the cup in the disc, whether that is
        segmented too or not.
    no_adapter
        Whether to predict with the base model without adapter.
    detail
        Input mode; None takes the one the adapter was trained with.
    threshold
        Probability between 0 and 1 from which a pixel is in the mask; None takes the adapter's.
    tta
        Whether to average over mirror images, which takes four times as long.
    field_sizes
        For targets in tiles: diameters of the field of view in network pixels, over which
        predictions are averaged, instead of the adapter's. Smaller ones take less time.
    progress
        Called with (steps done, steps in total), starting again for each target.

    Returns
    -------
    By name of the target: mask `(H, W)` bool, probabilities `(H, W)` float32, and predicted IoU.

    Raises
    ------
    AdapterError
        If the adapter is missing, damaged, or for another base or target; if one is named although
        `no_adapter` is set; or if there is neither an adapter nor a prompt.
    DeviceError
        If there is not enough memory.
    GeometryError
        If a prompt lies outside the field of view, or prompts are given for several targets.
    ImageError
        If the image cannot be read, or the array is not an image.
    SettingsError
        If the threshold is not between 0 and 1.
    TargetError
        If a target is unknown, or a point.
    """
    check_model_choice(adapter, no_adapter=no_adapter, threshold=threshold)
    unique = unique_targets([targets] if isinstance(targets, str | Target) else targets)
    for target in unique:
        if target.kind == "point":
            raise TargetError(f"{target.name!r} is a point, not a mask: use locate_image.")
    if not prompts.empty:
        check_one_target(len(unique), 1)
    prepared = _prepare(image)
    predictor = predictor or load_predictor()
    tasks = make_tasks(
        predictor.base,
        unique,
        prompts=prompts,
        adapter=adapter,
        outer_adapter=outer_adapter,
        no_adapter=no_adapter,
        detail=detail,
        threshold=threshold,
        tta=tta,
        field_sizes=field_sizes,
    )
    return segment_prepared(predictor, prepared, tasks, progress=progress)


def locate_image(
    image: ImageInput,
    target: str | Target = "fovea",
    *,
    predictor: Predictor | None = None,
    adapter: str | Path | None = None,
    tta: bool = False,
    progress: Progress = no_progress,
) -> PointPrediction:
    """Locate a target that is a point in one image.

    Parameters
    ----------
    image, predictor, adapter, tta, progress
        As for `segment_image`.
    target
        By name or as `Target`.

    Returns
    -------
    Its place in pixels of the image, and the confidence, which is low where it is not visible.

    Raises
    ------
    AdapterError
        If the adapter is missing, damaged, or for another base or target.
    DeviceError
        If there is not enough memory.
    ImageError
        If the image cannot be read, or the array is not an image.
    TargetError
        If the target is unknown, or a mask.
    """
    found = get_target(target) if isinstance(target, str) else target
    if found.kind != "point":
        raise TargetError(f"{found.name!r} is a mask, not a point: use segment_image.")
    prepared = _prepare(image)
    predictor = predictor or load_predictor()
    chosen = adapter_for(predictor.base, found, named=adapter)
    task = SegmentationTask.of(found, adapter=chosen, tta=tta)
    return locate_prepared(predictor, prepared, task, progress=progress)


def segment_files(
    settings: PredictSettings | Sequence[PredictSettings],
    *,
    predictor: Predictor | None = None,
    download_progress: DownloadProgress = ignore_progress,
    progress: ReportBatch = no_batch_progress,
    cluster: "Cluster | None" = None,
) -> Iterator[FileResult]:
    """Segment image files as `sam2lora predict` does, and write the masks and points.

    The call checks the input and loads the model; nothing is segmented or written before the first
    result is requested.

    Parameters
    ----------
    settings
        The images, targets, model and output folder. Several are processed in one pass over the
        images; they may differ in their targets and in how these are predicted.
    predictor
        Used instead of loading the model, device and precision of the settings.
    download_progress
        As for the `progress` of `load_predictor`.
    progress
        Called between windows, or on a cluster for images that are done. An exception that it
        raises stops the work; all files written by then are complete.
    cluster
        Workers that segment, of `open_cluster`; None: this process.

    Yields
    ------
    The result of each image, in order. A file that cannot be read or segmented has an `error`; the
    others are segmented all the same.

    Raises
    ------
    AdapterError, DeviceError, ModelError
        If the model or an adapter cannot be loaded.
    GeometryError
        If prompts are given for several targets or images.
    ImageError
        If there is no image, two would get masks of the same name, or the previous mask cannot be
        read.
    DatasetError
        If a folder is a dataset that cannot be used.
    SettingsError
        If several settings differ in more than their targets and how these are predicted.
    TargetError
        If a target is unknown.
    OutputError
        If a mask would replace one of the images, or the folder cannot be written; the only error
        that is raised while results are requested, with `ClusterError`.
    ClusterError
        As for `run_job`.
    """
    several = [settings] if isinstance(settings, PredictSettings) else list(settings)
    _check_one_pass(several)
    first = several[0]
    for each in several:
        unique_targets(each.targets)
    paths = find_images(first.images)
    for each in several:
        each.check_prompts_fit(len(paths))
    predictor = predictor or load_predictor(
        first.model,
        device=first.device,
        precision=first.precision,
        progress=download_progress,
    )
    return segment_paths(
        predictor,
        paths,
        [task for each in several for task in tasks_of(each, predictor.base)],
        Path(first.out),
        probabilities=first.probabilities,
        keep=first.keep,
        progress=progress,
        cluster=cluster,
    )


def _prepare(image: ImageInput) -> PreparedImage:
    """Read an image if necessary, and find its field of view."""
    if isinstance(image, PreparedImage):
        return image
    if isinstance(image, str | Path):
        image = read_image(Path(image).expanduser())
    if isinstance(image, FundusImage):
        return PreparedImage.of(image.pixels)
    return PreparedImage.of(to_rgb(np.asarray(image), "The array")[0])


def _check_one_pass(several: Sequence[PredictSettings]) -> None:
    """Refuse settings that cannot be processed in one pass over the same images."""
    if not several:
        raise SettingsError("There are no settings: nothing says which files to segment.")
    different = [
        name for name in _SHARED if len({getattr(settings, name) for settings in several}) != 1
    ]
    if different:
        raise SettingsError(
            f"Files are segmented in one pass, so all settings need the same {different[0]}. Call "
            "segment_files once for each."
        )
