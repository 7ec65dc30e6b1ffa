"""Photographs on disk: which a folder holds, and one of them with all that belongs to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari.utils.notifications import show_warning

from napari_sam2lora.layers.conversion import LayerData, fundus_layers
from napari_sam2lora.layers.field_of_view import find_and_keep
from sam2lora.annotations.store import Corrections
from sam2lora.datasets import Record, find_record, list_images, read_dataset, recognize
from sam2lora.datasets.image_search import dataset_in_folder, list_image_files
from sam2lora.errors import DatasetError, Sam2LoraError
from sam2lora.images.decoding import image_stem
from sam2lora.images.reading import read_image
from sam2lora.types import Mask, Pixels


@dataclass(frozen=True)
class ImageFile:
    """One image of a folder.

    Attributes
    ----------
    stem
        Identifies it among those of its folder.
    path
        Its file.
    record
        What the data set it belongs to says about it.
    """

    stem: str
    path: Path
    record: Record | None


@dataclass(frozen=True)
class ImageFolder:
    """The photographs of a folder that was opened.

    Attributes
    ----------
    folder
        What was opened.
    source
        What the corrections are kept for: the data set's folder or table, else the folder itself.
    images
        At least one; in the order of their stems.
    """

    folder: Path
    source: Path
    images: Sequence[ImageFile]


def list_image_folder(folder: Path) -> ImageFolder:
    """List the images of a data set, a part of one, or a folder of photographs; none is opened.

    Raises
    ------
    DatasetError
        If there is no data set, and no image directly in the folder; or there are several data
        sets.
    """
    try:
        found = dataset_in_folder(folder)
        images = list_image_files(folder)
    except OSError as error:
        recognize(folder)  # says so where there is no such folder
        raise DatasetError(f"{folder}: cannot be opened ({error.strerror or error}).") from error
    if found is None:
        if not images:
            recognize(folder)  # says what was looked for
        return ImageFolder(folder, folder, _without_records(images))
    try:
        dataset = read_dataset(folder, layout=found.layout.name)
    except DatasetError:  # masks that do not say of what; the images are there all the same
        return ImageFolder(folder, found.root, _without_records(list_images(found)))
    records = dataset.records
    return ImageFolder(folder, dataset.root, [ImageFile(r.stem, r.image, r) for r in records])


def image_file_at(path: Path) -> ImageFile:
    """Give one file, with what the data set it lies in says; a warning says what is wrong there."""
    return ImageFile(image_stem(path), path, _record_of(path))


def read_image_layers(
    photograph: ImageFile,
    *,
    corrections: Corrections | None = None,
    listed_in: Path | None = None,
) -> list[LayerData]:
    """Read an image with the masks of its data set's grader 1, or what they were corrected to.

    Masks that cannot be read are left out, with a warning in the viewer.

    Raises
    ------
    ImageError
        If the image cannot be read.
    """
    record = photograph.record
    image = record.read_image() if record else read_image(photograph.path)
    masks = _masks(record)
    if corrections is not None:
        masks |= _corrected(corrections, photograph.stem, image.pixels)
    name = image_stem(photograph.path)
    field = find_and_keep(image.pixels)
    return fundus_layers(name, image, field, masks, record=record, listed_in=listed_in)


def _without_records(images: Sequence[Path]) -> list[ImageFile]:
    """Name images by their stems, and those that share one by their whole names."""
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
    for target in record.masks if record else ():
        try:
            masks[target] = record.read_mask(target)
        except Sam2LoraError as error:
            show_warning(f"The image is opened without its mask of {target}. {error}")
    return masks


def _corrected(corrections: Corrections, stem: str, pixels: Pixels) -> dict[str, Mask]:
    try:
        return corrections.masks(stem, pixels.shape[:2])
    except Sam2LoraError as error:
        show_warning(f"The image is opened without your corrections of it. {error}")
        return {}
