"""Read fundus images, with the manual masks of the data set they lie in."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from napari.utils.notifications import show_warning
from numpy.typing import NDArray

from napari_sam2lora._layers import LayerData, fundus_layers
from sam2lora.datasets import Record, read_dataset, record_of
from sam2lora.errors import DatasetError, Sam2LoraError
from sam2lora.field_of_view import FieldOfView, find_field_of_view
from sam2lora.image_formats import image_stem, is_image_file
from sam2lora.images import FundusImage, read_image

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Reader = Callable[[Paths], list[LayerData]]

_DEPTH = 3
"""Folders between one that is opened and its images, as in SETS/DRIVE/test/images."""


def get_reader(path: Paths) -> Reader | None:
    """Give the function that reads `path`, or None if it is not ours.

    Ours are image files of the formats `sam2lora` reads, told by their names, and folders with such
    files in them; nothing is opened to find out. Several paths together are meant to become one
    stack, which photographs of different eyes are not.
    """
    only = _only(path)
    if only is None or "://" in only:
        return None
    chosen = Path(only)
    ours = _holds_images(chosen) if chosen.is_dir() else is_image_file(chosen)
    return read if ours else None


def read(path: Paths) -> list[LayerData]:
    """Read an image file, or the first image of a folder.

    Returns
    -------
    The image, and a Labels layer for each target that the data set's grader 1 marked. Masks that
    cannot be read are left out with a warning in the viewer.

    Raises
    ------
    Sam2LoraError
        If the image cannot be read, or no data set and no image is found in the folder.
    """
    only = _only(path)
    if only is None:
        raise ValueError(f"One path was expected, not {path!r}.")
    chosen = Path(only)
    if not chosen.is_dir():
        return _read_photograph(chosen, _record_of(chosen))
    try:
        record = read_dataset(chosen).records[0]
    except DatasetError:
        images = sorted(file for file in chosen.iterdir() if is_image_file(file))
        if not images:
            raise
        return _read_photograph(images[0], _record_of(images[0]))
    return _read_photograph(record.image, record)


def _only(path: Paths) -> str | None:
    if isinstance(path, str | os.PathLike):
        return os.fspath(path)
    return os.fspath(path[0]) if len(path) == 1 else None


def _holds_images(folder: Path) -> bool:
    for here, folders, files in os.walk(folder, followlinks=True):
        if any(is_image_file(Path(name)) for name in files):
            return True
        if len(Path(here).relative_to(folder).parts) == _DEPTH:
            folders.clear()
    return False


def _record_of(path: Path) -> Record | None:
    try:
        return record_of(path)
    except DatasetError as error:
        show_warning(f"The image is opened without masks. {error}")
        return None


def _read_photograph(path: Path, record: Record | None) -> list[LayerData]:
    image = record.read_image() if record else read_image(path)
    fov = _field_of_view(image, record)
    return fundus_layers(image_stem(path), image, fov, _masks(record), record=record)


def _field_of_view(image: FundusImage, record: Record | None) -> FieldOfView:
    if record is not None and record.fov is not None:
        try:
            return record.read_field_of_view()
        except Sam2LoraError as error:
            show_warning(f"The field of view is found in the image instead. {error}")
    return find_field_of_view(image.pixels)


def _masks(record: Record | None) -> dict[str, NDArray[np.bool_]]:
    masks: dict[str, NDArray[np.bool_]] = {}
    if record is None:
        return masks
    for target in record.masks:
        try:
            masks[target] = record.read_mask(target)
        except Sam2LoraError as error:
            show_warning(f"The image is opened without its mask of {target}. {error}")
    return masks
