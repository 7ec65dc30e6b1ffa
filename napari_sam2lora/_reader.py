"""Read fundus images with their masks, folders of them, and adapters."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from napari import current_viewer

from napari_sam2lora.adapters import import_and_notify, is_adapter
from napari_sam2lora.layers.conversion import LayerData
from napari_sam2lora.layers.loading import image_file_at, list_image_folder, read_image_layers
from sam2lora.annotations.store import Corrections
from sam2lora.images.decoding import is_image_file

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Reader = Callable[[Paths], list[LayerData]]

_DEPTH = 3
"""Folders between one that is opened and its images, as in SETS/DRIVE/test/images."""

_NO_LAYER: list[Any] = [(None,)]
"""What napari takes for: read, and there is nothing to show."""


def get_reader(path: Paths) -> Reader | None:
    """Give the function that reads `path`, or None if it is not ours.

    Ours are image files of the formats `sam2lora` reads, told by their names, folders with such
    files in them, and adapters, told by the card inside. Several paths together are meant to become
    one stack, which photographs of different eyes are not.
    """
    only = _only(path)
    if only is None or "://" in only:
        return None
    chosen = Path(only)
    if is_adapter(chosen):
        return read_adapter
    ours = _holds_images(chosen) if chosen.is_dir() else is_image_file(chosen)
    return read if ours else None


def read(path: Paths) -> list[LayerData]:
    """Read an image file, or the first image of a folder.

    Of a folder the image says where it is listed, by which the image list knows the others; in the
    window that list is then opened.

    Returns
    -------
    The image, and a Labels layer for each target that the data set's grader 1 marked. Masks that
    cannot be read are left out with a warning in the viewer.

    Raises
    ------
    Sam2LoraError
        If the image cannot be read, or no data set and no image is found in the folder.
    """
    chosen = _only_path(path)
    if not chosen.is_dir():
        return read_image_layers(image_file_at(chosen))
    chosen = chosen.absolute()
    listing = list_image_folder(chosen)
    first = listing.images[0]
    if len(listing.images) > 1 and (viewer := current_viewer()) is not None:
        from napari_sam2lora.image_list.dock import open_once_shown

        open_once_shown(viewer, chosen)
    return read_image_layers(first, corrections=Corrections(listing.source), listed_in=chosen)


def read_adapter(path: Paths) -> list[Any]:
    """Install an adapter, and say in the viewer what it is for; there is nothing to show.

    Raises
    ------
    Sam2LoraError
        If it is damaged, cannot be written, or one of its name is there already.
    """
    import_and_notify(_only_path(path))
    return _NO_LAYER


def _only_path(path: Paths) -> Path:
    only = _only(path)
    if only is None:
        raise ValueError(f"One path was expected, not {path!r}.")
    return Path(only)


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
