"""The one way into prediction, for the command line, the viewer and notebooks.

`load_predictor` makes a network ready, `segment_image` segments one image and returns the masks,
`segment_files` segments many files and writes them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sam2lora.adapters import choose_adapter
from sam2lora.adapters.folder import Adapter
from sam2lora.adapters.selection import require_adapter
from sam2lora.datasets.image_search import find_images
from sam2lora.errors import SettingsError
from sam2lora.images.reading import FundusImage, read_image, to_rgb
from sam2lora.inference.batch import FileResult, ReportBatch, no_batch_progress, segment_paths
from sam2lora.inference.predictor import NO_PROMPTS, Predictor
from sam2lora.inference.prepared_image import PreparedImage
from sam2lora.inference.segment import (
    SegmentationTask,
    TargetPrediction,
    segment_prepared,
)
from sam2lora.inference.settings import PredictSettings, check_model_choice, check_one_target
from sam2lora.models.loading import LoadedModel, load_base
from sam2lora.prompts.user_prompts import Prompts
from sam2lora.settings import PrecisionChoice
from sam2lora.targets import InputMode, Target, get_target
from sam2lora.utils.download import DownloadProgress, ignore_progress
from sam2lora.utils.progress import Progress, no_progress

_SHARED = ("images", "out", "model", "device", "precision", "probabilities", "keep")

ImageInput = str | Path | FundusImage | NDArray[Any] | PreparedImage
"""One image: its file, the image as read, an array of its pixels, or as it was prepared before."""


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
        Name of a base model, downloaded if need be, or a file of weights.
    device, precision
        As `device.choose_device` and `device.choose_precision` take them.
    progress
        Called with (bytes, bytes in all) during a download.

    Raises
    ------
    DeviceError
        If there is no such device or precision.
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
    no_adapter: bool = False,
    detail: InputMode | None = None,
    threshold: float | None = None,
    tta: bool = False,
    progress: Progress = no_progress,
) -> dict[str, TargetPrediction]:
    """Segment one image.

    Parameters
    ----------
    image
        A file; a `FundusImage`; an array, `(H, W, 3)` uint8 or what `read_image` would make that
        of; or a `PreparedImage`, which spares finding its field of view again.
    targets
        One or several, by name or as `Target`.
    predictor
        From `load_predictor`; None loads the embedded model for this one call.
    prompts
        Where one target is, in pixels of the image.
    adapter
        Name or folder of an adapter, or a run folder, for its best one; None takes the shipped one
        for the target, else the newest.
    no_adapter
        Predict by the base model alone.
    detail
        How the image is looked at; None: as the adapter was trained.
    threshold
        Probability between 0 and 1 that makes the mask; None: the adapter's.
    tta
        Average over mirror images, which takes four times as long.
    progress
        Called with (steps done, steps in all), for each target anew.

    Returns
    -------
    By name of the target: mask `(H, W)` bool, probabilities `(H, W)` float32, and expected IoU.

    Raises
    ------
    AdapterError
        If the adapter is missing, damaged, or for another base or target, or named and not wanted;
        or there is none, and nothing says where the target is.
    DeviceError
        If the memory does not suffice.
    GeometryError
        If a prompt lies outside the field of view, or belongs to several targets.
    ImageError
        If the image cannot be read, or the array is none.
    SettingsError
        If the threshold is not between 0 and 1.
    TargetError
        If a target is unknown.
    """
    check_model_choice(adapter, no_adapter=no_adapter, threshold=threshold)
    wanted = _targets([targets] if isinstance(targets, str | Target) else targets)
    if not prompts.empty:
        check_one_target(len(wanted), 1)
    prepared = _prepared(image)
    used = predictor or load_predictor()
    tasks = [
        _task(
            used.base,
            target,
            prompts=prompts,
            adapter=adapter,
            no_adapter=no_adapter,
            detail=detail,
            threshold=threshold,
            tta=tta,
        )
        for target in wanted
    ]
    return segment_prepared(used, prepared, tasks, progress=progress)


def segment_files(
    settings: PredictSettings | Sequence[PredictSettings],
    *,
    predictor: Predictor | None = None,
    download_progress: DownloadProgress = ignore_progress,
    progress: ReportBatch = no_batch_progress,
) -> Iterator[FileResult]:
    """Segment image files as `sam2lora predict` does, and write the masks.

    When it is called, it checks the input and then loads the model; nothing is segmented or
    written before the first result is asked for.

    Parameters
    ----------
    settings
        Which images and targets, by what, and where to. Several are done in one pass over the
        images; they may differ in their targets and in how these are predicted.
    predictor
        Goes before the model, device and precision of the settings, and spares loading them.
    download_progress
        As the `progress` of `load_predictor`.
    progress
        Called between windows. An exception that it raises stops the work; what is written by then
        is complete.

    Yields
    ------
    What became of each image, in order. A file that cannot be read or segmented is one with an
    `error`; the others are segmented all the same.

    Raises
    ------
    AdapterError, DeviceError, ModelError
        If the model or an adapter cannot be had.
    GeometryError
        If prompts are for several targets or images.
    ImageError
        If there is no image, two would get the same masks, or the previous mask cannot be read.
    DatasetError
        If a folder is a data set that cannot be used.
    SettingsError
        If several settings differ in more than they may.
    TargetError
        If a target is unknown.
    OutputError
        If a mask would replace one of the images, or the folder cannot be written; the only one
        that comes with the results.
    """
    several = [settings] if isinstance(settings, PredictSettings) else list(settings)
    _check_one_pass(several)
    first = several[0]
    for one in several:
        _targets(one.targets)
    paths = find_images(first.images)
    for one in several:
        one.check_prompts_fit(len(paths))
    used = predictor or load_predictor(
        first.model,
        device=first.device,
        precision=first.precision,
        progress=download_progress,
    )
    return segment_paths(
        used,
        paths,
        [task for one in several for task in tasks_of(one, used.base)],
        Path(first.out),
        probabilities=first.probabilities,
        keep=first.keep,
        progress=progress,
    )


def tasks_of(settings: PredictSettings, base: LoadedModel) -> list[SegmentationTask]:
    """Create the tasks of settings: what to segment in each image, by which adapter, and how.

    Parameters
    ----------
    settings
        What is asked for; where the images are and go to does not matter here.
    base
        The base model they name.

    Raises
    ------
    AdapterError
        If the adapter is missing, damaged, or for another base or target; or there is none, and
        nothing says where the target is.
    ImageError
        If the previous mask cannot be read.
    TargetError
        If a target is unknown.
    """
    prompts = settings.prompts()
    return [
        _task(
            base,
            target,
            prompts=prompts,
            adapter=settings.adapter,
            no_adapter=settings.no_adapter,
            detail=settings.detail,
            threshold=settings.threshold,
            tta=settings.tta,
        )
        for target in _targets(settings.targets)
    ]


def adapter_for(
    base: LoadedModel,
    target: Target,
    *,
    named: str | Path | None = None,
    no_adapter: bool = False,
    prompted: bool = False,
) -> Adapter | None:
    """Choose the adapter to predict with as by `choose_adapter`, or on request none.

    Raises
    ------
    AdapterError
        As `choose_adapter`; without an adapter, a base that needs prompts is refused without one,
        too.
    """
    if not no_adapter:
        return choose_adapter(
            base.spec, base.weights_sha256, target, named=named, prompted=prompted
        )
    require_adapter(base.spec, target, None, prompted=prompted)
    return None


def _task(
    base: LoadedModel,
    target: Target,
    *,
    prompts: Prompts,
    adapter: str | Path | None,
    no_adapter: bool,
    detail: InputMode | None,
    threshold: float | None,
    tta: bool,
) -> SegmentationTask:
    chosen = adapter_for(
        base, target, named=adapter, no_adapter=no_adapter, prompted=not prompts.empty
    )
    return SegmentationTask.of(
        target, adapter=chosen, prompts=prompts, detail=detail, threshold=threshold, flips=tta
    )


def _targets(wanted: Sequence[str | Target]) -> list[Target]:
    """Return targets, each once."""
    known = [get_target(one) if isinstance(one, str) else one for one in wanted]
    return list({target.name: target for target in known}.values())


def _prepared(image: ImageInput) -> PreparedImage:
    """Read an image where need be, and find its field of view."""
    if isinstance(image, PreparedImage):
        return image
    if isinstance(image, str | Path):
        image = read_image(Path(image).expanduser())
    if isinstance(image, FundusImage):
        return PreparedImage.of(image.pixels)
    return PreparedImage.of(to_rgb(np.asarray(image), "The array")[0])


def _check_one_pass(several: Sequence[PredictSettings]) -> None:
    """Refuse settings that cannot be done in one pass over the same images."""
    different = [
        name for name in _SHARED if len({getattr(settings, name) for settings in several}) != 1
    ]
    if different:
        raise SettingsError(
            f"Files are segmented in one pass, so all settings need the same {different[0]}. Call "
            "segment_files once for each."
        )
