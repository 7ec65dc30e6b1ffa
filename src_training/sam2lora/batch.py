"""Segment many image files: reading, computing and writing overlap; a bad file stops nothing."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import tifffile

from sam2lora.adapters import Adapter
from sam2lora.arrays import Mask
from sam2lora.errors import OutputError, Sam2LoraError
from sam2lora.files import atomic_path, make_folder
from sam2lora.flips import answer_with_flips
from sam2lora.geometry import Values
from sam2lora.image_files import entry_of
from sam2lora.image_formats import image_stem
from sam2lora.image_prompts import ImagePrompts
from sam2lora.images import FundusImage, read_image
from sam2lora.measurements import Measurements, measure
from sam2lora.pictures import save_image
from sam2lora.predictor import NO_PROMPTS, Predictor, no_progress
from sam2lora.scene import Scene
from sam2lora.settings import GeometrySettings
from sam2lora.targets import Target

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
FileProgress = Callable[[Path, float], None]


def no_file_progress(path: Path, share: float) -> None:
    """Ignore progress."""


@dataclass(frozen=True, eq=False)
class Task:
    """One target to segment, and how.

    Attributes
    ----------
    target
        What.
    geometry
        How the image is looked at.
    threshold
        Probability from which a pixel belongs to the target.
    adapter
        What answers; None for the bare base.
    prompts
        The same for every image; for one image, where the user pointed.
    flips
        Whether the answers to mirror images are averaged, which takes four times as long.
    """

    target: Target
    geometry: GeometrySettings
    threshold: float
    adapter: Adapter | None = None
    prompts: ImagePrompts = NO_PROMPTS
    flips: bool = False

    @classmethod
    def of(
        cls,
        target: Target,
        *,
        adapter: Adapter | None = None,
        prompts: ImagePrompts = NO_PROMPTS,
        flips: bool = False,
    ) -> Self:
        """Segment a target the way its adapter was trained to, or else as it usually is."""
        if adapter is None:
            geometry, threshold = GeometrySettings.for_target(target), target.threshold
        else:
            geometry, threshold = adapter.card.geometry, adapter.card.threshold
        return cls(target, geometry, threshold, adapter, prompts, flips)


@dataclass(frozen=True, eq=False)
class Segmented:
    """One target's answer in one image.

    Attributes
    ----------
    mask
        `(H, W)` bool, nothing outside the field of view.
    probabilities
        `(H, W)` float32 in 0…1.
    iou
        The IoU the network expects.
    """

    mask: Mask
    probabilities: Values
    iou: float


@dataclass(frozen=True)
class Outcome:
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
    """

    path: Path
    files: Mapping[str, Path] = field(default_factory=dict)
    measurements: Measurements | None = None
    iou: Mapping[str, float] = field(default_factory=dict)
    error: str = ""


def segment_scene(
    predictor: Predictor, scene: Scene, tasks: Sequence[Task], *, progress: Progress = no_progress
) -> dict[str, Segmented]:
    """Segment every target of one image; `progress` is called as by `Predictor.answer`, for each.

    Raises
    ------
    AdapterError
        If an adapter is damaged or for another base model.
    GeometryError
        If a prompt lies outside the image or its field of view.
    DeviceError
        If the memory does not suffice.
    """
    segmented = {}
    for task in tasks:
        predictor.use(task.adapter)
        if task.flips:
            answer = answer_with_flips(
                predictor, scene, task.geometry, task.prompts, progress=progress
            )
        else:
            answer = predictor.answer(scene, task.geometry, task.prompts, progress=progress)
        segmented[task.target.name] = Segmented(
            answer.mask(task.threshold), answer.probabilities, answer.iou
        )
    return segmented


def segment_files(
    predictor: Predictor,
    paths: Iterable[Path],
    tasks: Sequence[Task],
    out: Path,
    *,
    probabilities: bool = False,
    progress: FileProgress = no_file_progress,
) -> Iterator[Outcome]:
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
    progress
        Called with an image and the share of it that is done, 0…1, which never falls, between
        windows. An exception that it raises stops the work; what is written by then is complete.

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
        writing: Future[Outcome] | None = None
        try:
            for path, image in coming:
                done = _segment_one(predictor, path, image, tasks, progress)
                if writing:
                    yield writing.result()
                writing = writer.submit(_write, done, out, probabilities=probabilities)
            if writing:
                yield writing.result()
        finally:
            reader.shutdown(cancel_futures=True)


@dataclass(frozen=True, eq=False)
class _Done:
    path: Path
    scene: Scene | None = None
    segmented: Mapping[str, Segmented] = field(default_factory=dict)
    spacing: tuple[float, float] | None = None
    error: str = ""


def _check_images_stay(paths: Sequence[Path], tasks: Sequence[Task], out: Path) -> None:
    """Refuse to write a mask over one of the images, such as the `a_cup.png` beside `a.png`."""
    images = {entry_of(path) for path in paths}
    for path in paths:
        for task in tasks:
            mask = _mask_path(path, task.target.name, out)
            if entry_of(mask) in images:
                raise OutputError(
                    f"{mask}: is one of the images, and the {task.target.name} mask of {path} "
                    "would replace it. Choose another folder with --out."
                )


def _mask_path(image: Path, target: str, out: Path) -> Path:
    return out / f"{image_stem(image)}_{target}.png"


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
    path: Path,
    image: Future[FundusImage],
    tasks: Sequence[Task],
    progress: FileProgress,
) -> _Done:
    try:
        fundus = image.result()
        scene = Scene.of(fundus.pixels)
        segmented: dict[str, Segmented] = {}
        for number, task in enumerate(tasks):
            show = partial(_show_share, progress, path, number, len(tasks))
            segmented |= segment_scene(predictor, scene, [task], progress=show)
        return _Done(path, scene, segmented, fundus.spacing)
    except Sam2LoraError as error:
        logger.debug("%s failed", path, exc_info=error)
        return _Done(path, error=str(error))


def _show_share(
    progress: FileProgress, path: Path, number: int, tasks: int, done: int, total: int
) -> None:
    """Say how much of an image is done, from the steps of its task with this number."""
    progress(path, (number + done / total) / tasks)


def _write(done: _Done, out: Path, *, probabilities: bool) -> Outcome:
    if done.scene is None:
        return Outcome(done.path, error=done.error)
    files = {}
    for target, answer in done.segmented.items():
        files[target] = _mask_path(done.path, target, out)
        save_image(files[target], answer.mask)
        if probabilities:
            values = files[target].with_name(f"{files[target].stem}_probability.tif")
            with atomic_path(values) as temporary:
                tifffile.imwrite(temporary, answer.probabilities, compression="zlib")
    masks = {target: answer.mask for target, answer in done.segmented.items()}
    return Outcome(
        done.path,
        files,
        measure(masks, done.scene.field, spacing=done.spacing),
        {target: answer.iou for target, answer in done.segmented.items()},
    )
