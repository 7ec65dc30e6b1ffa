"""Image files on disk: list those of a folder, and read one with its masks as layers."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from napari.utils.notifications import show_warning

from napari_sam2lora.layers.conversion import LayerData, fundus_layers
from napari_sam2lora.layers.field_of_view import find_and_keep
from napari_sam2lora.layers.metadata import with_plugin_metadata
from napari_sam2lora.layers.points import LocatedPoint, point_layer
from napari_sam2lora.qt.dock_protocol import NextImage
from sam2lora.annotations.store import Corrections
from sam2lora.datasets import (
    Dataset,
    RecognizedFolder,
    Record,
    find_record,
    list_images,
    read_dataset,
    recognize,
)
from sam2lora.datasets.image_search import (
    dataset_in_folder,
    holds_only_masks,
    list_image_files,
)
from sam2lora.datasets.layouts import ANY_TARGET
from sam2lora.errors import DatasetError, Sam2LoraError
from sam2lora.images.decoding import image_stem
from sam2lora.images.reading import FundusImage, read_image
from sam2lora.targets import get_target, selectable_targets
from sam2lora.types import Mask, Pixels


@dataclass(frozen=True)
class ImageFile:
    """One image of a folder.

    Attributes
    ----------
    stem
        Name that identifies it in its folder.
    path
        The file.
    record
        Its entry in the dataset it belongs to, if any.
    """

    stem: str
    path: Path
    record: Record | None


@dataclass(frozen=True)
class ImageFolder:
    """The images of a folder that was opened.

    Attributes
    ----------
    folder
        The folder as it was opened.
    source
        What corrections are stored for: the dataset's folder or table, else the folder itself.
    images
        The images, at least one, sorted by stem.
    """

    folder: Path
    source: Path
    images: Sequence[ImageFile]


def list_image_folder(folder: Path, target: str | None = None) -> ImageFolder:
    """List the images of a dataset, a part of one, or a folder of images, without opening them.

    Parameters
    ----------
    folder
        The folder.
    target
        Name of the target that masks show whose names do not say it; None leaves these masks out.

    Raises
    ------
    DatasetError
        If the folder holds no dataset and no image directly in it, or several datasets.
    """
    try:
        found = dataset_in_folder(folder)
        images = list_image_files(folder)
    except OSError as error:
        recognize(folder)  # raises a clear error if there is no such folder
        raise DatasetError(f"{folder}: cannot be opened ({error.strerror or error}).") from error
    if found is None:
        if not images:
            if holds_only_masks(folder):
                raise DatasetError(f"{folder}: holds only masks. Open the folder of their images.")
            recognize(folder)  # raises an error that lists the supported layouts
        return ImageFolder(folder, folder, _without_records(images))
    dataset = _read(folder, found, target)
    if dataset is None:
        return ImageFolder(folder, found.root, _without_records(list_images(found)))
    records = dataset.records
    return ImageFolder(folder, dataset.root, [ImageFile(r.stem, r.image, r) for r in records])


def _read(folder: Path, found: RecognizedFolder, target: str | None) -> Dataset | None:
    """Read a dataset with all its masks; None if their targets are not known.

    Where the names of masks may leave out the target, those of `target` alone are tried first.
    """
    tried = [target, None] if target and ANY_TARGET in found.layout.masks else [None]
    for one in tried:
        with suppress(DatasetError):
            return read_dataset(folder, layout=found.layout.name, target=one)
    return None


def image_file_at(path: Path) -> ImageFile:
    """Return an image file with its entry in the dataset around it, if any.

    Where that dataset is broken, the viewer shows a warning, and the file has no entry.
    """
    return ImageFile(image_stem(path), path, _record_of(path))


def read_image_layers(
    image_file: ImageFile,
    *,
    corrections: Corrections | None = None,
    listed_in: Path | None = None,
) -> list[LayerData]:
    """Read an image with its dataset's masks by grader 1; corrected masks replace them.

    Masks that cannot be read are left out, with a warning in the viewer.

    Parameters
    ----------
    image_file
        The image.
    corrections
        The store of corrected masks; None reads the dataset's masks only.
    listed_in
        The folder that was opened, if the image is the first of several in it.

    Returns
    -------
    The image, a Labels layer for each mask, and a Points layer for each corrected point.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    record, image = image_file.record, _read_image(image_file)
    masks = _masks(record)
    if corrections is not None:
        masks |= _corrected_masks(corrections, image_file.stem, image.pixels)
    name = image_stem(image_file.path)
    field = find_and_keep(image.pixels)
    layers = fundus_layers(name, image, field, masks, record=record, listed_in=listed_in)
    if corrections is not None:
        layers += _corrected_points(corrections, image_file.stem, layers[0])
    return layers


def start_of(images: Sequence[ImageFile], corrections: Corrections) -> int:
    """Return the index of the image that was left when a folder was open last, or else 0."""
    left = corrections.position()
    return next((number for number, one in enumerate(images) if one.stem == left), 0)


def read_image_layer(image_file: ImageFile) -> LayerData:
    """Read an image without its masks, as a layer.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    image = _read_image(image_file)
    field, name = find_and_keep(image.pixels), image_stem(image_file.path)
    return fundus_layers(name, image, field, {}, record=image_file.record)[0]


def as_next_image(image_file: ImageFile, corrections: Corrections) -> NextImage:
    """Return an image file as the one that a list shows next."""
    masks = set() if image_file.record is None else {*image_file.record.masks}
    masks |= {name for name in selectable_targets() if corrections.has(image_file.stem, name)}
    return NextImage(str(image_file.path), partial(read_image_layer, image_file), frozenset(masks))


def _read_image(image_file: ImageFile) -> FundusImage:
    record = image_file.record
    return record.read_image() if record else read_image(image_file.path)


def _without_records(images: Sequence[Path]) -> list[ImageFile]:
    """Identify images by their stems, and those that share a stem by their whole names."""
    stems = [image_stem(path) for path in images]
    names = [s if stems.count(s) == 1 else p.name for s, p in zip(stems, images, strict=True)]
    return [ImageFile(name, path, None) for name, path in zip(names, images, strict=True)]


def _record_of(path: Path) -> Record | None:
    try:
        return find_record(path)
    except DatasetError as error:
        show_warning(f"The image is opened without masks. {error}")
        return None


def _masks(record: Record | None) -> dict[str, Mask]:
    masks: dict[str, Mask] = {}
    if record is None:
        return masks
    for target in record.masks:
        try:
            masks[target] = record.read_mask(target)
        except Sam2LoraError as error:
            show_warning(f"The image is opened without its mask of {target}. {error}")
    return masks


def _corrected_points(corrections: Corrections, stem: str, image: LayerData) -> list[LayerData]:
    try:
        points = corrections.points(stem)
    except Sam2LoraError as error:
        show_warning(f"The image is opened without your points. {error}")
        return []
    layers = []
    for name, point in points.items():
        located = LocatedPoint(point.x, point.y, point.confidence)
        layer = point_layer(image, get_target(name), located)
        layer[1]["metadata"] = with_plugin_metadata(layer[1]["metadata"], saved=point.model_dump())
        layers.append(layer)
    return layers


def _corrected_masks(corrections: Corrections, stem: str, pixels: Pixels) -> dict[str, Mask]:
    try:
        return corrections.masks(stem, pixels.shape[:2])
    except Sam2LoraError as error:
        show_warning(f"The image is opened without your corrections. {error}")
        return {}
